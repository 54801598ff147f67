"""The user's Docker configuration, as `docker login` writes it: for the command line.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import binascii
import re
import subprocess
from collections.abc import Mapping
from typing import Any

import msgspec

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.reference import DEFAULT_REGISTRY
from imagewright.registry.credentials import Credential, Keychain, registry_host

__all__ = ["read_docker_config"]

_HUB_KEY = "https://index.docker.io/v1/"
_LIMIT = 4 << 20
_PROGRAM_SECONDS = 60
_PROGRAM_NAME = re.compile(r"[A-Za-z0-9._-]+")
# What credential helpers call a user who is known by an identity token.
_TOKEN_USER = "<token>"  # noqa: S105


class _Entry(msgspec.Struct, frozen=True):
    auth: str | None = ""
    username: str | None = ""
    password: str | None = ""
    identitytoken: str | None = ""
    registrytoken: str | None = ""


class _Config(msgspec.Struct, frozen=True, rename="camel"):
    auths: Mapping[str, _Entry] | None = None
    cred_helpers: Mapping[str, str] | None = None
    creds_store: str | None = ""


def read_docker_config(path: str) -> Keychain:
    """Return the keychain of a `config.json`: `auths`, and the programs of `credHelpers` and `credsStore`.

    A file that is not there is an empty one; one that cannot be read as such raises `InvalidInput`. Programs
    (`docker-credential-NAME get`) are asked whenever the keychain is, which raises `SystemFailure` if they fail.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_LIMIT)
    except FileNotFoundError:
        return _keychain(_Config())
    except OSError as error:
        raise InvalidInput("the Docker configuration cannot be read") from error
    try:
        config = msgspec.json.decode(data or b"{}", type=_Config)
    except (msgspec.DecodeError, RecursionError):
        # Without the cause, which might quote a password.
        raise InvalidInput("the Docker configuration is not the JSON that it should be") from None
    return _keychain(config)


def _keychain(config: _Config) -> Keychain:
    auths = {registry_host(address): entry for address, entry in (config.auths or {}).items()}
    helpers = {registry_host(address): name for address, name in (config.cred_helpers or {}).items()}

    def find(registry: str) -> Credential | None:
        program = helpers.get(registry) or config.creds_store
        if program:
            return _ask(program, _HUB_KEY if registry == DEFAULT_REGISTRY else registry)
        entry = auths.get(registry)
        return _credential(entry) if entry is not None else None

    return find


def _credential(entry: _Entry) -> Credential | None:
    username, password = entry.username or "", entry.password or ""
    if entry.auth:
        try:
            text = base64.b64decode(entry.auth, validate=True).decode()
        except (binascii.Error, ValueError):
            raise InvalidInput("the Docker configuration holds an auth that is not base64") from None
        username, _, password = text.partition(":")
        password = password.rstrip("\x00")
    found = Credential(username, password, entry.identitytoken or "", entry.registrytoken or "")
    return found or None


def _ask(program: str, server: str) -> Credential | None:
    """Return what the credential helper has for `server`: the address on its input, JSON on its output."""
    if not _PROGRAM_NAME.fullmatch(program):
        raise InvalidInput("the Docker configuration names a credential helper that cannot be one")
    name = f"docker-credential-{program}"
    try:
        done = subprocess.run(
            [name, "get"], input=server.encode(), capture_output=True, timeout=_PROGRAM_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise SystemFailure(f"error getting credentials: {name} is not installed") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SystemFailure(f"error getting credentials: {name} does not answer") from error
    if done.returncode:
        if b"credentials not found" in done.stdout:
            return None
        raise SystemFailure(f"error getting credentials: {name} ended with {done.returncode}")
    try:
        document: dict[str, Any] = msgspec.json.decode(done.stdout, type=dict[str, Any])
    except msgspec.DecodeError:
        raise SystemFailure(f"error getting credentials: {name} answers no JSON") from None
    username, secret = str(document.get("Username") or ""), str(document.get("Secret") or "")
    if username == _TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username, secret) or None
