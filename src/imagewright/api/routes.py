"""Which endpoint answers which request."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from imagewright.api.endpoints import building, containers, events, images, logs, registries, system, transfer
from imagewright.api.errors import PageNotFound
from imagewright.api.service import Call

__all__ = ["Endpoint", "Match", "Route", "find_route"]

Endpoint = Callable[[Call], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Route:
    """`endpoint` answers requests by `method` for paths of the form `path`, in which `{name}` stands for anything.

    With `lenient`, parameters that cannot be read are passed over, as the engine does it for builds alone.
    """

    method: str
    path: str
    endpoint: Endpoint
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """The route for a request, what it has for `{name}`, and the version in front of the path, "" if there is none."""

    route: Route
    name: str
    version: str


_ROUTES = (
    Route("HEAD", "/_ping", system.ping),
    Route("GET", "/_ping", system.ping),
    Route("GET", "/version", system.version),
    Route("GET", "/info", system.information),
    Route("POST", "/build", building.build, lenient=True),
    Route("POST", "/build/cancel", building.cancel),
    Route("GET", "/images/json", images.list_images),
    Route("GET", "/images/get", transfer.save),
    Route("GET", "/images/search", registries.search),
    Route("POST", "/images/{name}/push", registries.push),
    Route("POST", "/auth", registries.login),
    Route("GET", "/distribution/{name}/json", registries.distribution),
    Route("GET", "/images/{name}/json", images.inspect),
    Route("GET", "/images/{name}/history", images.history),
    Route("GET", "/images/{name}/get", transfer.save_one),
    Route("POST", "/images/{name}/tag", images.tag),
    Route("POST", "/images/create", transfer.create),
    Route("POST", "/images/load", transfer.load),
    Route("DELETE", "/images/{name}", images.remove),
    Route("POST", "/images/prune", images.prune),
    Route("POST", "/commit", containers.commit),
    Route("GET", "/system/df", system.disk_usage),
    Route("GET", "/events", events.events),
    Route("GET", "/containers/json", containers.list_containers),
    Route("GET", "/containers/{name}/json", containers.inspect),
    Route("GET", "/containers/{name}/logs", logs.logs),
    Route("DELETE", "/containers/{name}", containers.remove),
    Route("GET", "/networks", system.networks),
    Route("GET", "/networks/{name}", system.network),
    Route("GET", "/volumes", system.volumes),
    Route("OPTIONS", "/{name}", system.options),
    # Known to clients, and not here yet.
    Route("POST", "/build/prune", system.prune_cache),
    Route("POST", "/session", system.unsupported),
)

_VERSION = re.compile(r"/v([0-9.]+)(/.*)", re.DOTALL)


def _pattern(path: str) -> re.Pattern[str]:
    # Names of images hold slashes, but no newline; nothing else looked up by path does any harm with a slash.
    return re.compile(re.escape(path).replace(r"\{name\}", "(?P<name>.*)"))


_PATTERNS = tuple((route, _pattern(route.path)) for route in _ROUTES)


def find_route(method: str, path: str) -> Match:
    """Return the first route for `method` and `path`, with or without a version in front; raise `PageNotFound`."""
    versioned = _VERSION.fullmatch(path)
    candidates = [(versioned[1], versioned[2])] if versioned else []
    for version, rest in (*candidates, ("", path)):
        for route, pattern in _PATTERNS:
            found = pattern.fullmatch(rest) if route.method == method else None
            if found:
                return Match(route, found.groupdict().get("name", ""), version)
    raise PageNotFound
