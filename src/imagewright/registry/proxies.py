"""Which proxy a request goes through, by the variables that Go's programs read.

https://pkg.go.dev/golang.org/x/net/http/httpproxy: `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`, or in lower case; loopback
is never proxied.
"""

import ipaddress
import re
from collections.abc import Mapping

from imagewright.registry.addresses import Origin, is_loopback

__all__ = ["find_proxy", "proxy_variables"]


def find_proxy(environment: Mapping[str, str], origin: Origin) -> str:
    """Return the URL of the proxy for `origin`, empty for none."""
    name = f"{origin.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name, "")
    if not proxy or is_loopback(origin.host):
        return ""
    excluded = environment.get("NO_PROXY") or environment.get("no_proxy", "")
    if any(_covers(entry.strip().lower(), origin) for entry in excluded.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_variables(environment: Mapping[str, str]) -> tuple[str, str, str]:
    """Return the proxies for http and for https, and what goes through none, as set; names and passwords are masked."""
    http, https, none = (
        environment.get(name.upper()) or environment.get(name, "") for name in ("http_proxy", "https_proxy", "no_proxy")
    )
    return _masked(http), _masked(https), none


def _masked(proxy: str) -> str:
    # A password may hold anything, so all that stands before the last @ goes.
    return re.sub(r"^(\w+://)?.*@", r"\1xxxxx:xxxxx@", proxy)


def _covers(entry: str, origin: Origin) -> bool:
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ipaddress.ip_address(origin.host) in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, port = _split_port(entry)
    if not name or (port and port != str(origin.port)):
        return False
    if name.startswith("*."):
        name = name[1:]
    # `.example.com` covers what is below, `example.com` also itself.
    return origin.host == name or origin.host.endswith(name if name.startswith(".") else f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    host, colon, port = entry.rpartition(":")
    if not colon or ":" in host:
        return entry, ""
    return host, port
