"""Where requests go: origins, and which of them are near, trusted to be insecure, or never to be spoken to."""

import ipaddress
import urllib.parse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from imagewright.errors import InvalidInput

__all__ = [
    "Location",
    "Origin",
    "is_insecure",
    "is_loopback",
    "parse_location",
    "parse_registry",
    "refused_peer",
]

_PORTS = {"http": 80, "https": 443}
# Addresses at which clouds answer with secrets of the machine, outside of link-local:
# Amazon's over IPv6, Alibaba's, and Oracle's.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192")))


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port; `host` in lower case, an IPv6 address without its brackets."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The `host:port` of it, the port left out where the scheme says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def dialled(self) -> str:
        """The `host:port` of it, always with the port."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class Location:
    """An origin, and the path and query at it; `str` leaves the query out, for it may hold a secret."""

    origin: Origin
    target: str

    def __str__(self) -> str:
        return f"{self.origin}{self.target.partition('?')[0]}"

    def with_query(self, parameters: Sequence[tuple[str, str]]) -> "Location":
        """Return the location with `parameters` added to its query."""
        mark = "&" if "?" in self.target else "?"
        return Location(self.origin, self.target + mark + urllib.parse.urlencode(parameters)) if parameters else self


def parse_location(text: str, base: Location | None = None) -> Location:
    """Return what the URL `text` names, seen from `base`; raises `InvalidInput` for all but http and https.

    User information in a URL is refused: credentials come from keychains.
    """
    try:
        joined = urllib.parse.urljoin(f"{base.origin}{base.target}", text) if base else text
        parts = urllib.parse.urlsplit(joined)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput("a registry named an address that is no URL") from error
    if parts.scheme not in _PORTS or not host or "@" in parts.netloc or not text.isprintable() or " " in text:
        raise InvalidInput("a registry named an address that is refused: only plain http and https URLs are taken")
    query = f"?{parts.query}" if parts.query else ""
    return Location(Origin(parts.scheme, host.lower(), port or _PORTS[parts.scheme]), (parts.path or "/") + query)


def parse_registry(registry: str, scheme: str) -> Origin:
    """Return the origin of a registry named `host` or `host:port`; raises `InvalidInput` for what is neither."""
    return parse_location(f"{scheme}://{registry}/").origin


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine by its very name: a loopback address, or `localhost`."""
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def refused_peer(text: str) -> bool:
    """Tell whether the IP address `text` is never to be spoken to: link-local, multicast, none at all, metadata."""
    address = _address(text.partition("%")[0])
    return (
        address is None
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or address in _METADATA
    )


def is_insecure(origin: Origin, entries: Sequence[str], resolve: Callable[[str], Iterable[str]]) -> bool:
    """Tell whether the operator listed `origin` by `host`, `host:port` or a network that holds all its addresses."""
    names = {origin.dialled}
    if origin.port in _PORTS.values():
        names.add(origin.authority.removesuffix(f":{origin.port}"))
    networks = []
    for entry in entries:
        if entry.lower() in names:
            return True
        if "/" in entry:
            networks.append(_network(entry))
    if not networks:
        return False
    found = [_address(text) for text in ([origin.host] if _address(origin.host) else resolve(origin.host))]
    return bool(found) and all(
        address is not None and any(address in network for network in networks) for address in found
    )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidInput(f"insecure registry {text} is not valid: neither a host nor a network") from error


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
