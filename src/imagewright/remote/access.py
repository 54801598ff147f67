"""How git gets to a server: at an address of the network that was looked at, and with no way around it."""

import base64
import os
import shlex
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit, urlunsplit

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, NotFound, SystemFailure
from imagewright.remote.connection import Connection, Resolve, reason
from imagewright.remote.download import open_url
from imagewright.remote.limits import FetchLimits
from imagewright.remote.repository import Repository
from imagewright.remote.urls import PORTS

__all__ = ["Access", "reach"]

_QUESTION = "/info/refs?service=git-upload-pack"
_SMART = "application/x-git-upload-pack-advertisement"
_PORT_OF_SSH = 22
_SSH_OPTIONS: Mapping[str, str] = {
    "BatchMode": "yes",
    "StrictHostKeyChecking": "yes",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "ProxyCommand": "none",
    "ProxyJump": "none",
    "PermitLocalCommand": "no",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "ClearAllForwardings": "yes",
    "ControlMaster": "no",
    "ControlPath": "none",
    "LogLevel": "ERROR",
    "ServerAliveCountMax": "3",
}


@dataclass(frozen=True, slots=True)
class Access:
    """What git is told to get there: an address, configuration and environment, which may hold secrets.

    `shallow` is whether the server can leave history out.
    """

    url: str
    shallow: bool = True
    config: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


def reach(repository: Repository, cancellation: Cancellation, limits: FetchLimits, resolve: Resolve) -> Access:
    """Connect to the server of `repository`, and return how git gets to that very address.

    Raises `Forbidden` for addresses that are refused, `NotFound` and `SystemFailure` where nothing answers.
    """
    try:
        if repository.scheme in PORTS:
            return _reach_web(repository, cancellation, limits, resolve)
        if repository.scheme == "ssh" and not shutil.which("ssh"):
            raise SystemFailure("repositories behind ssh need the ssh program, which is not installed")
        peer = _connect(repository, cancellation, limits, resolve)
    except Cancelled:
        raise
    except ImagewrightError as error:
        raise type(error)(f"error fetching: {error}") from error
    return _reach_ssh(repository, peer, limits) if repository.scheme == "ssh" else _reach_daemon(repository, peer)


def _reach_web(repository: Repository, cancellation: Cancellation, limits: FetchLimits, resolve: Resolve) -> Access:
    """Follow redirects as for any download, and pin what they lead to; git itself then follows none."""
    secret = f"{repository.user}@" if repository.user else ""
    address = repository.url.replace("://", f"://{secret}", 1) + _QUESTION
    try:
        with open_url(address, cancellation, limits=limits, resolve=resolve) as answer:
            parts = urlsplit(answer.location)
            peer, kind = answer.peer, answer.content_type
    except NotFound as error:
        if "with status 404" not in str(error):
            raise
        raise NotFound(f"fatal: repository '{repository.url}/' not found\n: exit status 128") from error
    question = urlsplit(_QUESTION)
    if not (parts.path.endswith(question.path) and parts.query == question.query):
        raise Forbidden(f"fatal: unable to update url base from redirection: '{repository.url}'")
    user, _, server = parts.netloc.rpartition("@")
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    # A host of IPv6 is its own address.
    config = {} if ":" in host else {"http.curloptResolve": f"{host}:{port}:{f'[{peer}]' if ':' in peer else peer}"}
    url = urlunsplit((parts.scheme, server, parts.path.removesuffix(question.path), "", ""))
    if user:
        name, _, password = user.partition(":")
        token = base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
        config["http.extraHeader"] = f"Authorization: Basic {token}"
    return Access(url, shallow=kind.partition(";")[0].strip() == _SMART, config=config)


def _connect(repository: Repository, cancellation: Cancellation, limits: FetchLimits, resolve: Resolve) -> str:
    """Return the address at which somebody listens."""
    connection = Connection(cancellation, limits, time.monotonic() + limits.total)
    try:
        connection.connect(repository.host, repository.port, resolve)
    except OSError as error:
        cancellation.check()
        raise SystemFailure(f"fatal: unable to connect to {repository.host}: {reason(error)}") from error
    finally:
        connection.close()
    return connection.peer


def _reach_daemon(repository: Repository, peer: str) -> Access:
    # Its protocol has no redirects and no certificates, so the address can stand for the name.
    host = f"[{peer}]" if ":" in peer else peer
    return Access(f"git://{host}:{repository.port}{repository.path}")


def _reach_ssh(repository: Repository, peer: str, limits: FetchLimits) -> Access:
    """Return how ssh gets there: with the keys and the known hosts of who runs this, but not their configuration."""
    alias = repository.host if repository.port == _PORT_OF_SSH else f"[{repository.host}]:{repository.port}"
    options = {
        **_SSH_OPTIONS,
        "HostName": peer,
        "HostKeyAlias": alias,
        "ConnectTimeout": str(max(1, int(limits.connect))),
        "ServerAliveInterval": str(max(1, int(limits.idle / 3))),
    }
    command = [
        "ssh",
        "-F",
        os.devnull,
        *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
    ]
    environment = {"GIT_SSH_COMMAND": shlex.join(command), "GIT_SSH_VARIANT": "ssh"}
    return Access(repository.url, environment=environment)
