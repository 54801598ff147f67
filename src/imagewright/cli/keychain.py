"""What the user is logged in to, for an engine in this process and for one that is asked over its socket."""

import base64
import json
import os
import threading
from collections.abc import Mapping

import click

from imagewright.errors import ImagewrightError
from imagewright.registry import (
    Credential,
    DockerConfig,
    Keychain,
    read_docker_config,
    server_address,
)

__all__ = ["UserKeychain", "auth_header", "config_header", "open_docker_config"]


class UserKeychain:
    """The user's Docker configuration as a `Keychain`.

    What cannot be had from it, for want of a program or in a file that is broken, is told on standard error and counts
    as nothing, as for the docker program: most of what is pulled needs no credential. Each registry is looked up once,
    for that may start a program. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._config: DockerConfig | None = None
        self._found: dict[str, Credential | None] = {}
        self._told: set[str] = set()

    def __call__(self, registry: str) -> Credential | None:
        """Return what the user has for `registry`, as in `Reference.registry`."""
        with self._lock:
            if registry not in self._found:
                self._found[registry] = self._look_up(registry)
            return self._found[registry]

    def _look_up(self, registry: str) -> Credential | None:
        try:
            return self._open()(registry)
        except ImagewrightError as error:
            self._warn(error)
            return None

    def credentials(self) -> Mapping[str, Credential]:
        """Return everything that the user has, by the address that it is kept for."""
        found: dict[str, Credential] = {}
        try:
            for address, fetch in self._open().credentials():
                try:
                    credential = fetch()
                except ImagewrightError as error:
                    self._warn(error)
                    continue
                if credential is not None:
                    found[address] = credential
        except ImagewrightError as error:
            self._warn(error)
        return found

    def _open(self) -> DockerConfig:
        self._config = self._config or open_docker_config()
        return self._config

    def _warn(self, error: ImagewrightError) -> None:
        if str(error) not in self._told:
            self._told.add(str(error))
            click.echo(f"warning: {error}", err=True)


def open_docker_config() -> DockerConfig:
    """Return the user's Docker configuration: `config.json` in `DOCKER_CONFIG`, else in `~/.docker`."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.join(os.path.expanduser("~"), ".docker")
    return read_docker_config(os.path.join(directory, "config.json"))


def auth_header(registry: str, credential: Credential | None) -> dict[str, str]:
    """Return the header that tells an engine of a credential for one registry."""
    if credential is None:
        return {}
    return {"X-Registry-Auth": _encoded(_document(server_address(registry), credential))}


def config_header(keychain: Keychain) -> dict[str, str]:
    """Return the header that tells an engine of all credentials; only those of a user can be listed."""
    if not isinstance(keychain, UserKeychain):
        return {}
    found = keychain.credentials()
    if not found:
        return {}
    return {
        "X-Registry-Config": _encoded(
            {address: _document(address, credential) for address, credential in found.items()}
        )
    }


def _document(address: str, credential: Credential) -> dict[str, str]:
    document = {
        "username": credential.username,
        "password": credential.password,
        "identitytoken": credential.identity_token,
        "registrytoken": credential.registry_token,
    }
    return {"serveraddress": address, **{name: value for name, value in document.items() if value}}


def _encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
