"""Intermediate containers: what builds have left of steps that failed, or that were not to be removed."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import empty_answer, json_answer
from imagewright.api.bodies import read_body
from imagewright.api.container_filters import Selection
from imagewright.api.encoding import presentable
from imagewright.api.endpoints.images import named
from imagewright.api.go_json import decode
from imagewright.api.roles import EngineProtocol
from imagewright.api.service import Call
from imagewright.engine import Container, ImageQuery, ImageSummary, StoredImage
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Digest

__all__ = ["commit", "container_entries", "elapsed", "images_of", "inspect", "list_containers", "remove"]

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
    selection = Selection(query.get("filters"))
    try:
        limit = query.integer("limit") if query.get("limit") else 0
    except InvalidInput as error:
        raise InvalidInput(str(error).replace("ParseInt", "Atoi")) from error
    shown = query.boolean("all") or limit > 0 or selection.shows_stopped

    def work() -> list[wire.Document]:
        containers = call.engine.containers()
        images = images_of(call.engine, containers)
        chosen = selection.choose(containers, images, lambda name: call.engine.inspect(name).id, call.engine.container)
        if not shown:
            return []
        return container_entries(chosen[:limit] if limit > 0 else chosen, images, sized=query.boolean("size"))

    return json_answer(await call.service.threads.run(work))


def images_of(engine: EngineProtocol, containers: Sequence[Container]) -> Mapping[Digest, ImageSummary]:
    """Return all images, if there are containers that could have been made of one."""
    return {image.id: image for image in engine.list(ImageQuery(all=True))} if containers else {}


def container_entries(
    containers: Sequence[Container], images: Mapping[Digest, ImageSummary], *, sized: bool
) -> list[wire.Document]:
    """Return the entries of `containers`; `images` has those that they were made of, as far as they are here."""
    now_ns = time.time_ns()
    entries = []
    for container in containers:
        image = images.get(container.image)
        ended_ns = container.finished_ns or container.created_ns
        entries.append(
            wire.container_entry(
                container,
                status=f"Exited ({container.exit_code}) {elapsed((now_ns - ended_ns) // _SECOND)} ago",
                labels=image.labels if image else None,
                sized=sized,
            )
        )
    return entries


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
    _check_name(call.name)

    def work() -> tuple[Container, StoredImage | None]:
        container = call.engine.container(call.name)
        try:
            return container, call.engine.inspect(str(container.image))
        except NotFound:
            return container, None

    container, image = await call.service.threads.run(work)
    facts = call.service.facts
    sized = call.query.boolean("size")
    return json_answer(
        wire.container_details(container, image, driver=facts.driver, runtime=facts.runtime, sized=sized)
    )


async def remove(call: Call) -> web.Response:
    """Remove one container; it has no volumes, and does not run, so that `v` and `force` change nothing."""
    _check_name(call.name)
    if call.query.boolean("link"):
        await call.service.threads.run(call.engine.container, call.name)
        raise InvalidInput("Conflict, cannot remove the default link name of the container")
    await call.service.threads.run(call.engine.remove_container, call.name)
    return empty_answer(204)


async def commit(call: Call) -> web.Response:
    """Make an image of what a container left."""
    _check_configuration(call, await read_body(call.request))
    name = call.query.get("container")
    _check_name(name)
    reference = named(call.query)
    if reference is not None and reference.digest is not None:
        raise InvalidInput("refusing to create a tag with a digest reference")
    image = await call.service.threads.run(
        call.engine.commit,
        name,
        reference=reference,
        changes=tuple(map(presentable, call.query.get_all("changes"))),
        message=presentable(call.query.get("comment")),
        author=presentable(call.query.get("author")),
    )
    return json_answer(wire.committed(image), 201)


def _check_name(name: str) -> None:
    if not name:
        raise InvalidInput('invalid name or ID supplied: ""')


def _check_configuration(call: Call, body: bytes) -> None:
    """Raise `Unsupported` for a body that configures something; clients send one that says nothing.

    Raises `InvalidInput` for one that is no configuration, in the engine's words.
    """
    if not body:
        return
    content_type = call.request.headers.get("Content-Type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise InvalidInput(f"Content-Type specified ({presentable(content_type)}) must be 'application/json'")
    configuration: Mapping[str, Any] | None = decode(body.decode("utf-8", "surrogateescape"), "map[string]any")
    if any(configuration.values()) if configuration else False:
        raise Unsupported("a configuration in the body of POST /commit is not supported yet: the parameter changes is")
