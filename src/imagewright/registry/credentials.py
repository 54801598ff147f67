"""Who somebody is to a registry, and the headers in which clients of the engine say so."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from imagewright.reference import DEFAULT_REGISTRY

__all__ = [
    "Credential",
    "Keychain",
    "for_registry",
    "no_credentials",
    "parse_auth_header",
    "parse_config_header",
    "registry_host",
]

_HEADER_LIMIT = 64 << 10
# What Docker's configuration calls Docker Hub, and its other names.
_HUB_HOSTS = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})


@dataclass(frozen=True, slots=True)
class Credential:
    """A name and a password, a token that stands for them, or a ready access token; `repr` shows none of it."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)
    registry_token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)


Keychain = Callable[[str], Credential | None]
"""Returns the credential for a registry by its exact `host:port`, `docker.io` for Docker Hub; None if there is none."""


def no_credentials(_registry: str) -> Credential | None:
    """A keychain without keys."""
    return None


def for_registry(registry: str, credential: Credential | None) -> Keychain:
    """Return the keychain that knows `credential` for `registry` (as in `Reference.registry`) and nothing else."""
    return lambda host: credential if host == registry else None


def registry_host(address: str) -> str:
    """Return the `host:port` that a server address names: `https://index.docker.io/v1/` is `docker.io`."""
    host = address.partition("://")[2] if "://" in address else address
    host = host.partition("/")[0].lower()
    return DEFAULT_REGISTRY if host in _HUB_HOSTS else host


def parse_auth_header(text: str) -> Credential | None:
    """Return the credential in an `X-Registry-Auth` header; None for an empty one and for what is none at all.

    Clients exist that send a placeholder where they know nothing; the engine has always let them.
    """
    document = _decode(text)
    return _credential(document) if isinstance(document, dict) else None


def parse_config_header(text: str) -> Mapping[str, Credential]:
    """Return the credentials in an `X-Registry-Config` header by registry; what is undecodable counts as empty."""
    document = _decode(text)
    if not isinstance(document, dict):
        return {}
    found: dict[str, Credential] = {}
    for address, entry in document.items():
        credential = _credential(entry) if isinstance(entry, dict) else None
        if credential is not None:
            found[registry_host(address)] = credential
    return found


def _credential(document: dict[str, Any]) -> Credential | None:
    values = [document.get(key) for key in ("username", "password", "identitytoken", "registrytoken")]
    if not all(value is None or isinstance(value, str) for value in values):
        return None
    return Credential(*(value or "" for value in values)) if any(values) else None


def _decode(text: str) -> Any:
    """Return the JSON in base64 (either alphabet, padded or not) of `text`, None if it is not that."""
    if len(text) > _HEADER_LIMIT:
        return None
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        data = base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(data)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
