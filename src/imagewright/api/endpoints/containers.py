"""Intermediate containers: what builds have left of steps that failed, or that were not to be removed."""

import shlex
import time

from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import empty_answer, json_answer
from imagewright.api.filters import container_filter, parse_filters
from imagewright.api.service import Call
from imagewright.engine import Container
from imagewright.errors import InvalidInput, Unsupported

__all__ = ["elapsed", "inspect", "list_containers", "remove"]

_SECOND = 1_000_000_000
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Below `limit` seconds, so many of `unit` (in seconds) have passed.
_SPANS = (
    (2 * _MINUTE, 1, "seconds"),
    (2 * _HOUR, _MINUTE, "minutes"),
    (2 * _DAY, _HOUR, "hours"),
    (14 * _DAY, _DAY, "days"),
    (60 * _DAY, 7 * _DAY, "weeks"),
    (730 * _DAY, 30 * _DAY, "months"),
)


async def list_containers(call: Call) -> web.Response:
    """List the containers; none of them runs, so that only a request for others than running ones shows any."""
    query = call.query
    _refuse_size(call)
    try:
        limit = query.integer("limit") if query.get("limit") else 0
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("ParseInt", "Atoi")) from error
    selected = container_filter(query.get("filters"))
    asked = parse_filters(query.get("filters")).keys()
    if not (query.boolean("all") or limit > 0 or asked & {"status", "exited"}):
        return json_answer([])
    containers = [one for one in await call.service.threads.run(call.engine.containers) if selected(one)]
    now_ns = time.time_ns()
    return json_answer([_entry(one, now_ns) for one in (containers[:limit] if limit > 0 else containers)])


def _entry(container: Container, now_ns: int) -> wire.Document:
    ago = elapsed((now_ns - container.created_ns) // _SECOND)
    return wire.container_entry(container, shlex.join(container.command), f"Exited ({container.exit_code}) {ago} ago")


def elapsed(seconds: int) -> str:
    """Return how long `seconds` are, in the words that the clients know."""
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if _MINUTE <= seconds < 2 * _MINUTE:
        return "About a minute"
    if _HOUR <= seconds < 2 * _HOUR:
        return "About an hour"
    for limit, unit, name in _SPANS:
        if seconds < limit:
            return f"{seconds // unit} {name}"
    return f"{seconds // (365 * _DAY)} years"


async def inspect(call: Call) -> web.Response:
    """Tell everything about one container."""
    _refuse_size(call)
    container = await call.service.threads.run(call.engine.container, call.name)
    facts = call.service.facts
    return json_answer(wire.container_details(container, facts.driver, facts.runtime))


async def remove(call: Call) -> web.Response:
    """Remove one container; it has no volumes, and does not run, so that `v` and `force` change nothing."""
    if call.query.boolean("link"):
        raise InvalidInput("Conflict, cannot remove the default link name of the container")
    await call.service.threads.run(call.engine.remove_container, call.name)
    return empty_answer(204)


def _refuse_size(call: Call) -> None:
    if call.query.boolean("size"):
        raise Unsupported("the parameter size is not supported yet")
