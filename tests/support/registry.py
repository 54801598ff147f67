"""Debian's docker-registry (the distribution project's own), on a loopback port of the test's own."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from support.certificates import Pair
from support.processes import end, tail
from support.token_server import ISSUER, SERVICE, TokenServer

__all__ = ["PASSWORD", "USER", "DockerRegistry", "docker_registry"]

USER = "alice"
PASSWORD = "wonder:land"  # noqa: S105 - of a registry that lives as long as a test
# As `htpasswd -nbB alice wonder:land` prints it; the registry knows no other kind of hash than bcrypt.
_HTPASSWD = "alice:$2y$04$mRgBSzD6BgMjGXYxSoD7feDORFxjlAc5Lsy/yvGlH7lNbX82TnhbK\n"
_SECONDS = 20


@dataclass(frozen=True)
class DockerRegistry:
    """A running registry; `host` is its `host:port`, and its data is in `root`."""

    host: str
    scheme: str
    root: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The root of its API, without a slash at the end."""
        return f"{self.scheme}://{self.host}"

    def blobs(self) -> set[str]:
        """Return the digests of all blobs that it holds, of all repositories."""
        top = os.path.join(self.root, "docker/registry/v2/blobs/sha256")
        return {f"sha256:{name}" for path, _, files in os.walk(top) if "data" in files for name in [path[-64:]]}


@contextlib.contextmanager
def docker_registry(
    directory: str,
    *,
    accounts: bool = False,
    tls: Pair | None = None,
    clients: str | None = None,
    tokens: TokenServer | None = None,
    address: str = "127.0.0.1",
    mirror_of: str = "",
) -> Iterator[DockerRegistry]:
    """Run a registry with its data below `directory` until the block ends.

    With `accounts` it wants `USER` and `PASSWORD`; `tokens` is the token server that it sends clients to, which must
    run and sign; `tls` is its certificate; `clients` the authority that certificates of its clients must be of;
    `mirror_of` makes it a pull-through cache of the registry at that URL.
    """
    root = os.path.join(directory, "data")
    os.makedirs(root, exist_ok=True)
    listen: dict[str, object] = {"addr": f"[{address}]:0" if ":" in address else f"{address}:0"}
    if tls is not None:
        authorities = {"clientcas": [clients]} if clients else {}
        listen["tls"] = {"certificate": tls.certificate, "key": tls.key, **authorities}
    config: dict[str, object] = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": root}, "delete": {"enabled": True}},
        "http": listen,
    }
    if mirror_of:
        config["proxy"] = {"remoteurl": mirror_of}
    if accounts:
        path = os.path.join(directory, "htpasswd")
        with open(path, "w", encoding="ascii") as file:
            file.write(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "tests", "path": path}}
    elif tokens is not None and tokens.signing is not None:
        bundle = tokens.signing.certificate
        token = {"realm": tokens.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": bundle}
        config["auth"] = {"token": token}
    with _running(directory, config) as (process, port):
        host = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        yield DockerRegistry(host, "http" if tls is None else "https", root, process)


@contextlib.contextmanager
def _running(directory: str, config: dict[str, object]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    path, log = os.path.join(directory, "config.yml"), os.path.join(directory, "docker-registry.log")
    with open(path, "w", encoding="utf-8") as file:
        # JSON is YAML too.
        json.dump(config, file)
    environment = {"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"}
    with open(log, "wb") as output:
        process = subprocess.Popen(
            ["docker-registry", "serve", path],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    try:
        yield process, _port(process, log)
    finally:
        # It waits for connections that clients keep open, which no test has time for.
        process.send_signal(signal.SIGKILL)
        end(process)


def _port(process: subprocess.Popen[bytes], log: str) -> int:
    """Wait until the registry listens; return where, as it says in its log."""
    deadline = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        match = re.search(r"listening on \S+:(\d+)", tail(log))
        if match is not None:
            return int(match[1])
        time.sleep(0.01)
    raise RuntimeError(f"docker-registry did not come up:\n{tail(log)}")
