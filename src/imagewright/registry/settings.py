"""What the operator says about registries."""

import ipaddress
import os
import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field

from imagewright.errors import InvalidInput

__all__ = ["Settings", "parse_insecure", "parse_mirror"]

_HOST = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_MOST_PORT = 65535


def _environment() -> Mapping[str, str]:
    return dict(os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator says about registries; times in seconds, sizes in bytes.

    `mirrors` are URLs tried before Docker Hub; `insecure` are `host`, `host:port` or CIDR, for which certificates are
    not verified and plain http is tried; `certificates` is a directory laid out as Docker's `certs.d`; of `environment`
    the proxy variables are read.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    certificates: str = "/etc/docker/certs.d"
    environment: Mapping[str, str] = field(default_factory=_environment, repr=False)
    connect_timeout: float = 10
    idle_timeout: float = 30
    upload_timeout: float = 300
    """How long a registry may take to put an upload into its place."""
    minimum_rate: int = 1024
    """Bytes a second, over `idle_timeout`, below which a transfer counts as broken."""
    tries: int = 5
    """How often in a row something is tried without getting any further."""
    back_off: float = 0.5
    """How long to wait before the first repetition; doubled each time."""
    longest_wait: float = 60
    """The most that a `Retry-After` is heeded."""
    upload_chunk: int = 64 << 20
    user_agent: str = "imagewright"


def parse_mirror(text: str) -> str:
    """Return the URL of a mirror as the engine spells it, with a slash at the end; raise `InvalidInput` in its words.

    Only a scheme and a host are taken: a mirror has no path, and no credentials in its name.
    """
    try:
        parts = urllib.parse.urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise InvalidInput("invalid mirror: it is not a valid URI") from None
    if parts.scheme not in {"http", "https"}:
        raise InvalidInput(f'invalid mirror: unsupported scheme "{parts.scheme}" in "{_without_user(text)}"')
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise InvalidInput(f'invalid mirror: path, query, or fragment at end of the URI "{_without_user(text)}"')
    if "@" in parts.netloc:
        raise InvalidInput(f'invalid mirror: username/password not allowed in URI "{_without_user(text)}"')
    if not host or _HOST.fullmatch(parts.netloc) is None:
        raise InvalidInput(f'invalid mirror: no host in "{text}"')
    return f"{parts.scheme}://{parts.netloc.lower()}/"


def parse_insecure(text: str) -> str:
    """Return `host`, `host:port` or a network (CIDR) in its usual form; raise `InvalidInput` for what is none of them.

    A scheme before a host is passed over, as the engine does.
    """
    entry = text.removeprefix("http://").removeprefix("https://").lower()
    if "/" in entry:
        try:
            return str(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            raise InvalidInput(f"insecure registry {text} is not valid: neither a host nor a network") from None
    if entry.startswith("-") or entry.endswith("-"):
        raise InvalidInput(f"invalid index name ({text}). Cannot begin or end with a hyphen")
    match = _HOST.fullmatch(entry)
    if match is None or int(match["port"] or 0) > _MOST_PORT:
        raise InvalidInput(f'insecure registry {text} is not valid: invalid host "{entry}"')
    return entry


def _without_user(text: str) -> str:
    """Return the URL without what may be a password in it."""
    return re.sub(r"//[^/?#]*@", "//***@", text)
