"""The user's Docker configuration, as `docker login` writes it: for the command line.

https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import binascii
import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.reference import DEFAULT_REGISTRY
from imagewright.registry.credential_helpers import (
    erase_credential,
    get_credential,
    list_servers,
    store_credential,
)
from imagewright.registry.credentials import Credential, registry_host

__all__ = ["DockerConfig", "read_docker_config", "server_address"]

_HUB_KEY = "https://index.docker.io/v1/"
_LIMIT = 4 << 20
# What a credential is kept under besides its address, by programs of old.
_PREFIXES = ("", "http://", "https://")


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


class DockerConfig:
    """The `config.json` at `path`, read once: a `Keychain`, which can also be changed.

    Programs (`docker-credential-NAME`) are asked whenever the keychain is, which raises `SystemFailure` if they fail.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._config = _parse(_read(path))

    def __call__(self, registry: str) -> Credential | None:
        """Return the credential for `registry`, as in `Reference.registry`; None if there is none."""
        helper = self._helper(registry)
        if helper:
            return get_credential(helper, server_address(registry))
        entry = self._entries().get(registry)
        return _credential(entry) if entry is not None else None

    def store(self, registry: str, credential: Credential) -> str:
        """Keep `credential` for `registry`; return the helper that has it, empty if the file itself does.

        The file is replaced at once or not at all; what else it says stays. Idempotent.
        """
        helper, server = self._helper(registry), server_address(registry)
        if helper:
            store_credential(helper, server, credential)
        # The engine's client remembers in the file whom it is logged in to, wherever the secret is.
        self._change(lambda auths: auths.update({server: {} if helper else _entry(credential)}))
        return helper

    def erase(self, registry: str) -> bool:
        """Forget the credential for `registry`; return whether there was one in the file. Idempotent."""
        helper, server = self._helper(registry), server_address(registry)
        names = {prefix + server for prefix in _PREFIXES if "://" not in server} | {server}
        known = [name for name in self._config.auths or {} if name in names or registry_host(name) == registry]
        if helper:
            for name in sorted(names):
                # Under most of these names nothing was ever kept, and not all helpers say so in the same words.
                with contextlib.suppress(SystemFailure) if name != server else contextlib.nullcontext():
                    erase_credential(helper, name)
        if known:
            self._change(lambda auths: [auths.pop(name, None) for name in known])
        return bool(known)

    def credentials(self) -> Iterator[tuple[str, Callable[[], Credential | None]]]:
        """Yield the addresses that something is kept for, as they are, each with what fetches it, which may raise."""
        config = self._config
        helpers = {address: helper for address, helper in (config.cred_helpers or {}).items() if helper}
        if config.creds_store:
            store = config.creds_store
            for address in list_servers(store):
                yield address, lambda address=address: get_credential(store, address)  # type: ignore[misc]
        else:
            for address, entry in (config.auths or {}).items():
                yield address, lambda entry=entry: _credential(entry)  # type: ignore[misc]
        for address, helper in helpers.items():
            yield (
                address,
                lambda address=address, helper=helper: get_credential(helper, address),  # type: ignore[misc]
            )

    def _entries(self) -> Mapping[str, _Entry]:
        return {registry_host(address): entry for address, entry in (self._config.auths or {}).items()}

    def _helper(self, registry: str) -> str:
        """Return which helper keeps what is for `registry`, empty if none."""
        helpers = {registry_host(address): name for address, name in (self._config.cred_helpers or {}).items()}
        return helpers.get(registry) or self._config.creds_store or ""

    def _change(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Do `change` to the file's `auths`, as the file is now."""
        data = _read(self._path)
        self._config = _parse(data)
        document: dict[str, Any] = msgspec.json.decode(data or b"{}", type=dict[str, Any])
        auths = dict(document.get("auths") or {})
        change(auths)
        document["auths"] = auths
        text = msgspec.json.format(msgspec.json.encode(document), indent=4).decode()
        _replace(self._path, text.encode())
        self._config = _parse(text.encode())


def read_docker_config(path: str) -> DockerConfig:
    """Return what the `config.json` at `path` says: `auths`, and the programs of `credHelpers` and `credsStore`.

    A file that is not there is an empty one; one that cannot be read as such raises `InvalidInput`.
    """
    return DockerConfig(path)


def server_address(registry: str) -> str:
    """Return what a registry (as in `Reference.registry`) is called in Docker's configuration."""
    return _HUB_KEY if registry == DEFAULT_REGISTRY else registry


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LIMIT)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise InvalidInput("the Docker configuration cannot be read") from error


def _parse(data: bytes) -> _Config:
    try:
        return msgspec.json.decode(data or b"{}", type=_Config)
    except (msgspec.DecodeError, RecursionError):
        # Without the cause, which might quote a password.
        raise InvalidInput("the Docker configuration is not the JSON that it should be") from None


def _replace(path: str, data: bytes) -> None:
    """Put `data` in the place of the file, which only its owner may read; where `path` is a link, of what it names."""
    path = os.path.realpath(path)
    directory = os.path.dirname(path)
    partial = None
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=".config.json-", dir=directory)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            with contextlib.suppress(OSError):
                os.unlink(partial)
        raise SystemFailure(f"the Docker configuration cannot be written: {error.strerror}") from error


def _entry(credential: Credential) -> dict[str, str]:
    text = f"{credential.username}:{'' if credential.identity_token else credential.password}"
    entry = {"auth": base64.b64encode(text.encode()).decode()}
    tokens = {"identitytoken": credential.identity_token, "registrytoken": credential.registry_token}
    return entry | {name: token for name, token in tokens.items() if token}


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
