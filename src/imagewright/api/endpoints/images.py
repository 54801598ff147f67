"""The images that there are: list, inspect, history, tag, remove."""

import time

from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import empty_answer, json_answer, json_bytes_answer
from imagewright.api.filters import image_query
from imagewright.api.query import Query
from imagewright.api.service import Call
from imagewright.engine import ImageQuery
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.reference import Reference

__all__ = ["history", "inspect", "list_images", "named", "remove", "tag"]


async def list_images(call: Call) -> web.Response:
    """List the images that the filters select."""
    if call.version.at_least(1, 42):
        _refuse(call.query, "shared-size")
    if call.version.at_least(1, 47):
        _refuse(call.query, "manifests")
    query = image_query(call.query, call.version, time.time_ns())
    return json_bytes_answer(await call.service.threads.run(_encoded_list, call, query))


def _encoded_list(call: Call, query: ImageQuery) -> bytes:
    return call.service.listing.encode(call.engine.list(query), call.version)


async def inspect(call: Call) -> web.Response:
    """Tell everything about one image."""
    if call.version.at_least(1, 48):
        _refuse(call.query, "manifests")
    if call.version.at_least(1, 49):
        _refuse_given(call.query, "platform")
    try:
        image = await call.service.threads.run(call.engine.inspect, call.name)
    except (InvalidInput, NotFound) as error:
        # The engine says it twice.
        raise type(error)(f"no such image: {call.name}: {error}") from error
    return json_answer(wire.image_details(image, call.version, call.service.facts.driver))


async def history(call: Call) -> web.Response:
    """Tell how one image was made."""
    if call.version.at_least(1, 48):
        _refuse_given(call.query, "platform")
    return json_answer(wire.history(await call.service.threads.run(call.engine.history, call.name)))


async def tag(call: Call) -> web.Response:
    """Give an image another name."""
    reference = named(call.query)
    if reference is None:
        raise InvalidInput("invalid reference format")
    if reference.digest is not None:
        raise InvalidInput("refusing to create a tag with a digest reference")
    if reference.familiar_name == "sha256":
        raise InvalidInput("refusing to create an ambiguous tag using digest algorithm as name")
    await call.service.threads.run(call.engine.tag, call.name, reference)
    return empty_answer(201)


async def remove(call: Call) -> web.Response:
    """Remove a name, or an image with all of its."""
    if not call.name:
        raise InvalidInput("image name cannot be blank")
    if call.version.at_least(1, 50):
        _refuse_given(call.query, "platforms")
    done = await call.service.threads.run(
        call.engine.remove,
        call.name,
        force=call.query.boolean("force"),
        prune=not call.query.boolean("noprune"),
    )
    return json_answer(wire.removals(done))


def named(query: Query) -> Reference | None:
    """Return the name that `repo` and `tag` give, None where there is no `repo`; raises `InvalidInput`."""
    if not query.get("repo"):
        return None
    reference = Reference.parse(query.get("repo"))
    if query.get("tag") and reference.digest is None:
        return reference.with_tag(query.get("tag"))
    return reference if reference.digest else reference.with_default_tag()


def _refuse(query: Query, name: str) -> None:
    if query.boolean(name):
        raise Unsupported(f"the parameter {name} is not supported yet")


def _refuse_given(query: Query, name: str) -> None:
    if query.get(name):
        raise Unsupported(f"the parameter {name} is not supported yet")
