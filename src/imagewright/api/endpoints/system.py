"""What the daemon says of itself, and of the things that it has none of."""

import platform
import socket
import time

from aiohttp import web

from imagewright import __version__
from imagewright.api import wire
from imagewright.api.answers import empty_answer, json_answer
from imagewright.api.cache_filters import cache_pruning
from imagewright.api.endpoints.containers import container_entries, images_of
from imagewright.api.service import Call
from imagewright.errors import InvalidInput, NotFound, Unsupported

__all__ = [
    "disk_usage",
    "information",
    "network",
    "networks",
    "options",
    "ping",
    "prune_cache",
    "unsupported",
    "version",
    "volumes",
]


async def ping(call: Call) -> web.Response:
    """Say that the daemon is there; clients read the headers."""
    headers = {
        "Builder-Version": "1",
        "Cache-Control": "no-cache, no-store, must-revalidate",
        "Content-Type": "text/plain; charset=utf-8",
        "Pragma": "no-cache",
        "Swarm": "inactive",
    }
    if call.request.method == "HEAD":
        return web.Response(headers={**headers, "Content-Length": "0"})
    return web.Response(body=b"OK", headers=headers)


async def options(_call: Call) -> web.Response:
    """Answer any OPTIONS request."""
    return empty_answer(200)


async def version(call: Call) -> web.Response:
    """Tell the versions."""
    return json_answer(
        wire.version_information(
            call.service.facts,
            release=__version__,
            python=platform.python_version(),
            experimental=call.service.experimental,
        )
    )


async def information(call: Call) -> web.Response:
    """Tell what there is, of what, on which machine."""
    info = await call.service.threads.run(call.engine.info)
    return json_answer(
        wire.system_information(
            info,
            now_ns=time.time_ns(),
            host=socket.gethostname(),
            release=__version__,
            experimental=call.service.experimental,
        )
    )


async def networks(_call: Call) -> web.Response:
    """List the networks: none, since containers other than those of builds do not run here."""
    return json_answer([])


async def network(call: Call) -> web.Response:
    """Say that there is no such network."""
    raise NotFound(f"network {call.name} not found")


async def volumes(_call: Call) -> web.Response:
    """List the volumes, of which there are none."""
    return json_answer(wire.volumes())


_USAGE_TYPES = frozenset({"container", "image", "volume", "build-cache"})


async def disk_usage(call: Call) -> web.Response:
    """Tell what takes up space."""
    types = None
    if call.version.at_least(1, 42) and "type" in call.query.values:
        types = call.query.get_all("type")
        for name in types:
            if name not in _USAGE_TYPES:
                raise InvalidInput(f"unknown object type: {name}")

    def work() -> wire.Document:
        usage = call.engine.disk_usage()
        return wire.disk_usage(
            layers_size=usage.layers_size,
            images=[wire.image_entry(image, call.version, shared=True, counted=True) for image in usage.images],
            containers=container_entries(usage.containers, images_of(call.engine, usage.containers), sized=True),
            caches=usage.caches,
            types=types,
            version=call.version,
        )

    return json_answer(await call.service.threads.run(work))


async def prune_cache(call: Call) -> web.Response:
    """Remove directories of cache mounts; what else is cached are images and their layers, which go as images do."""
    pruning = cache_pruning(call.query, call.version, time.time_ns())
    removed = () if pruning is None else await call.service.threads.run(call.engine.prune_caches, pruning)
    return json_answer(wire.pruned_caches(removed))


async def unsupported(call: Call) -> web.Response:
    """Say that the endpoint is known, and not here yet."""
    raise Unsupported(f"{call.request.method} {call.endpoint} is not supported yet")
