"""Addresses of http and https: their grammar, and what of them is shown."""

import re
from urllib.parse import SplitResult, urlsplit

from imagewright.errors import InvalidInput

__all__ = ["PORTS", "host_of", "parse_url", "shown"]

PORTS = {"http": 80, "https": 443}
_MOST_URL = 8192
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")


def parse_url(url: str) -> SplitResult:
    """Return the parts of `url`; raises `InvalidInput` for what cannot be fetched."""
    if len(url) > _MOST_URL or not url.isprintable():
        raise InvalidInput("the address is too long, or has characters in it that no address has")
    try:
        parts = urlsplit(url)
        host, _ = host_of(parts), parts.port
    except ValueError as error:
        raise InvalidInput("the address is malformed") from error
    if parts.scheme not in PORTS:
        raise InvalidInput(f'Get "{shown(parts)}": unsupported protocol scheme "{parts.scheme}"')
    if not _HOST.fullmatch(host):
        raise InvalidInput(f'Get "{shown(parts)}": http: no Host in request URL')
    return parts


def host_of(parts: SplitResult) -> str:
    """Return the host of `parts` as it is asked for; raises `ValueError` for a name that no host has."""
    host = parts.hostname or ""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def shown(parts: SplitResult) -> str:
    """Return the address for a message: without what may be secret in it, its user and its query."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
