"""The images that there are: list, inspect, history, tag, remove, prune."""

import dataclasses
import time

from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import empty_answer, json_answer, json_bytes_answer, not_modified_answer
from imagewright.api.conditions import entity_tag, has_it
from imagewright.api.filters import image_query, unused
from imagewright.api.platforms import check_platform, one_platform, parse_platform_object
from imagewright.api.query import Query
from imagewright.api.service import Call
from imagewright.engine import ImageQuery
from imagewright.errors import InvalidInput, NotFound
from imagewright.reference import Reference

__all__ = ["history", "inspect", "list_images", "named", "prune", "remove", "tag"]


async def list_images(call: Call) -> web.Response:
    """List the images that the filters select.

    Entries have no `Manifests`, which an engine has that keeps images for several platforms under one name.
    """
    query = image_query(call.query, call.version, time.time_ns())
    shared = call.version.at_least(1, 42) and call.query.boolean("shared-size")
    listing = call.service.listing
    if query.until_ns or query.unused_for_ns is not None:
        # What these select may change while nothing else does.
        return json_bytes_answer(await call.service.threads.run(_encoded_list, call, query, shared))
    # Read before the list: one that is newer than its tag says is only sent once too often.
    tag = entity_tag(call.service.nonce, call.engine.generation, listing.shape(call.version, shared=shared), query)
    if has_it(call.request, tag):
        return not_modified_answer(tag)
    body = listing.find(tag)
    if body is None:
        body = await call.service.threads.run(_encoded_list, call, query, shared)
        listing.keep(tag, body)
    answer = json_bytes_answer(body)
    answer.headers["ETag"] = tag
    return answer


def _encoded_list(call: Call, query: ImageQuery, shared: bool) -> bytes:  # noqa: FBT001 - passed on by position
    return call.service.listing.encode(call.engine.list(query), call.version, shared=shared)


async def inspect(call: Call) -> web.Response:
    """Tell everything about one image."""
    platform = None
    if call.version.at_least(1, 49) and call.query.get("platform"):
        platform = parse_platform_object(call.query.get("platform"))
        if call.query.boolean("manifests"):
            raise InvalidInput("conflicting options: manifests and platform options cannot both be set")
    try:
        image = await call.service.threads.run(call.engine.inspect, call.name)
    except (InvalidInput, NotFound) as error:
        # The engine says it twice.
        raise type(error)(f"no such image: {call.name}: {error}") from error
    check_platform(image, call.name, platform)
    return json_answer(wire.image_details(image, call.version, call.service.facts.driver))


async def history(call: Call) -> web.Response:
    """Tell how one image was made."""
    platform = one_platform(call.query) if call.version.at_least(1, 48) else None
    if platform is not None:
        check_platform(await call.service.threads.run(call.engine.inspect, call.name), call.name, platform)
    return json_answer(wire.history(await call.service.threads.run(call.engine.history, call.name)))


async def tag(call: Call) -> web.Response:
    """Give an image another name."""
    reference = named(call.query)
    if reference is None:
        raise InvalidInput("invalid reference format")
    if reference.digest is not None and call.query.get("tag"):
        # The engine lets the tag count.
        reference = dataclasses.replace(reference, digest=None).with_tag(call.query.get("tag"))
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
    if call.version.at_least(1, 50) and call.query.get_all("platforms"):
        # An image is for one platform here, so that with this one all of it goes.
        image = await call.service.threads.run(call.engine.inspect, call.name)
        for text in call.query.get_all("platforms"):
            check_platform(image, call.name, parse_platform_object(text))
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


async def prune(call: Call) -> web.Response:
    """Remove the images that nothing needs, as far as the filters select them."""
    which = unused(call.query, time.time_ns())
    done = await call.service.threads.run(
        call.engine.prune,
        dangling=which.dangling,
        labels=which.labels,
        unlabelled=which.unlabelled,
        until_ns=which.until_ns,
        unused_for_ns=which.unused_for_ns,
    )
    return json_answer(wire.pruned(done))
