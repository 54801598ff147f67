"""The ports of EXPOSE: https://docs.docker.com/reference/dockerfile/#expose, in the grammar of `docker run -p`."""

import ipaddress

from imagewright.errors import InvalidInput

__all__ = ["parse_ports"]

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_ports(text: str) -> tuple[str, ...]:
    """Return what `[[address:]host:]port[-port][/protocol]` exposes, as `80/tcp`; only the container's side counts.

    Raises `InvalidInput` with the engine's texts.
    """
    *before, last = text.split(":")
    host = before.pop() if before else ""
    _check_address(":".join(before))
    # What follows a second slash is passed over.
    container, protocol = (*last.split("/"), "")[:2]
    if not container:
        raise InvalidInput(f"No port specified: {text}<empty>")
    ports = _parse_range(container)
    if ports is None:
        raise InvalidInput(f"Invalid containerPort: {container}")
    if host:
        _check_host(host, container, ports)
    protocol = protocol or "tcp"
    if protocol.lower() not in _PROTOCOLS:
        raise InvalidInput(f"Invalid proto: {protocol}")
    return tuple(f"{port}/{protocol.lower()}" for port in ports)


def _check_address(address: str) -> None:
    bare, problem = address, ""
    if address.startswith("["):
        bare, bracket, rest = address[1:].partition("]")
        if not bracket:
            problem = "missing ']' in address"
        elif rest:
            problem = "too many colons in address" if rest.startswith(":") else "missing port in address"
    elif ":" in address:
        problem = "too many colons in address"
    if problem:
        raise InvalidInput(f"Invalid ip address {address}: address {address}:: {problem}")
    try:
        if bare:
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
