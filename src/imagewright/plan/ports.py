"""The ports of EXPOSE: https://docs.docker.com/reference/dockerfile/#expose, in the grammar of `docker run -p`."""

import ipaddress

from imagewright.errors import InvalidInput

__all__ = ["parse_ports"]

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_ports(text: str) -> tuple[str, ...]:
    """Return what `[[address:]host:]port[-port][/protocol]` exposes, as `80/tcp`; only the container's side counts.

    Raises `InvalidInput` with the engine's texts.
    """
    specification, _, rest = text.partition("/")
    # The engine looks at no more than what is between the first two slashes.
    protocol = rest.split("/", 1)[0] if rest else "tcp"
    address, host, container = _split(text, specification)
    if not container:
        raise InvalidInput(f"No port specified: {text}<empty>")
    _check_address(address)
    ports = _parse_range(container)
    if ports is None:
        raise InvalidInput(f"Invalid containerPort: {container}")
    if host:
        _check_host(host, container, ports)
    if protocol.lower() not in _PROTOCOLS:
        raise InvalidInput(f"Invalid proto: {protocol}")
    return tuple(f"{port}/{protocol.lower()}" for port in ports)


def _split(text: str, specification: str) -> tuple[str, str, str]:
    """Return the address, the host's ports and the container's ports; the first two may be empty."""
    if "/" in text and ":" in text.partition("/")[2]:
        # `1/udp:2`: the protocol stands at the end or nowhere.
        raise InvalidInput(f"Invalid hostPort: {text.rpartition(':')[0]}")
    *before, container = specification.split(":")
    if not before:
        return "", "", container
    *address, host = before
    return ":".join(address), host, container


def _check_address(address: str) -> None:
    if not address:
        return
    if address.startswith("[") and address.endswith("]"):
        bare = address[1:-1]
    elif ":" in address:
        raise InvalidInput(f"Invalid ip address {address}: address {address}:: too many colons in address")
    else:
        bare = address
    try:
        ipaddress.ip_address(bare)
    except ValueError as error:
        raise InvalidInput(f"Invalid ip address: {bare}") from error


def _check_host(host: str, container: str, ports: range) -> None:
    hosts = _parse_range(host)
    if hosts is None:
        raise InvalidInput(f"Invalid hostPort: {host}")
    # A range of the host's ports may stand before one port: any of them will do.
    if len(hosts) != len(ports) and len(ports) != 1:
        raise InvalidInput(f"Invalid ranges specified for container and host Ports: {container} and {host}")


def _parse_range(text: str) -> range | None:
    first, dash, last = text.partition("-")
    start = _parse_port(first)
    end = _parse_port(last) if dash else start
    if start is None or end is None or end < start:
        return None
    return range(start, end + 1)


def _parse_port(text: str) -> int | None:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        return None
    port = int(text)
    return port if port <= 65535 else None
