"""What has to do with registries: pull, push, log in, search, and looking at what is there."""

import msgspec
from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import json_answer
from imagewright.api.bodies import read_body
from imagewright.api.endpoints.building import last_words
from imagewright.api.endpoints.reports import reporter
from imagewright.api.filters import parse_filters
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.archive import COMPRESSIONS, Compression
from imagewright.errors import Forbidden, InvalidInput, Unsupported
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, for_registry, parse_auth_header, registry_host

__all__ = ["distribution", "login", "pull", "push", "search"]

_JSON = "application/json"
_HUB = "https://index.docker.io/v1/"
_SEARCH_LIMIT = 25
_SEARCH_MOST = 100


class _Login(msgspec.Struct, frozen=True):
    """The body of `POST /auth`; an `email` is taken and not looked at, as the engine has it."""

    username: str = ""
    password: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""


async def pull(call: Call) -> web.StreamResponse:
    """Pull the image that `fromImage` and `tag` name: a tag, a digest, or all tags of a repository without either."""
    reference = _wanted(call)
    if reference.familiar_name == "scratch":
        raise Forbidden("'scratch' is a reserved name")
    platform = _platform(call)

    def work(job: Job) -> None:
        call.engine.pull(
            reference,
            platform=platform,
            all_tags=not (reference.tag or reference.digest),
            keychain=_keychain(call, reference),
            report=reporter(job),
            cancellation=job.cancellation,
        )

    return await stream(call, work, content_type=_JSON, last_words=last_words, doing="Pull")


def _platform(call: Call) -> Platform | None:
    """Return the platform that is asked for, which need not be this machine's: what is pulled is not run here."""
    text = call.query.get("platform")
    if not (text and call.version.at_least(1, 32)):
        return None
    return Platform.parse(text, default=Platform("linux", call.service.facts.architecture))


def _wanted(call: Call) -> Reference:
    reference, tag = Reference.parse(call.query.get("fromImage")), call.query.get("tag")
    if not tag:
        return reference
    if ":" in tag:
        return Reference(reference.registry, reference.repository, digest=Digest.parse(tag))
    return Reference(reference.registry, reference.repository).with_tag(tag)


async def push(call: Call) -> web.StreamResponse:
    """Push one tag of the image, or all of its repository without `tag`.

    Beyond the engine: `compression`, gzip or zstd, for all layers.
    """
    reference, tag = Reference.parse(call.name), call.query.get("tag")
    if reference.digest is not None:
        raise InvalidInput("cannot push a digest reference")
    if call.version.at_least(1, 46) and call.query.get("platform"):
        raise Unsupported("the parameter platform of a push is not supported yet: an image is for one platform")
    compression = _compression(call.query.get("compression"))
    if tag:
        reference = reference.with_tag(tag)

    def work(job: Job) -> None:
        call.engine.push(
            reference,
            all_tags=not reference.tag,
            compression=compression,
            keychain=_keychain(call, reference),
            report=reporter(job),
            cancellation=job.cancellation,
        )

    return await stream(call, work, content_type=_JSON, last_words=last_words, doing="Push")


def _compression(name: str) -> Compression | None:
    if not name:
        return None
    for known in COMPRESSIONS:
        if name == known:
            return known
    raise InvalidInput(f"the parameter compression is {name[:100]!r}, and can be {' or '.join(COMPRESSIONS)}")


async def login(call: Call) -> web.Response:
    """Ask a registry whether it knows a name and a password."""
    try:
        asked = msgspec.json.decode(await read_body(call.request), type=_Login)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"invalid login: {error}") from error
    registry = registry_host(asked.serveraddress or _HUB)
    credential = Credential(asked.username, asked.password, asked.identitytoken, asked.registrytoken)
    result = await call.service.threads.run(call.engine.login, registry, credential)
    return json_answer({"IdentityToken": result.identity_token, "Status": result.status})


async def search(call: Call) -> web.Response:
    """Look for repositories on a registry."""
    term = call.query.get("term")
    if not term:
        raise InvalidInput("the parameter term is needed")
    limit = call.query.integer("limit") if call.query.get("limit") else _SEARCH_LIMIT
    if not 1 <= limit <= _SEARCH_MOST:
        raise InvalidInput(f"Limit {limit} is outside the range of [1, {_SEARCH_MOST}]")
    credential = parse_auth_header(call.request.headers.get("X-Registry-Auth", ""))
    first = term.partition("/")[0]
    registry = registry_host(first if "." in first or ":" in first else _HUB)
    found = await call.service.threads.run(
        call.engine.search,
        term,
        limit=limit,
        filters=parse_filters(call.query.get("filters")),
        keychain=for_registry(registry, credential),
    )
    return json_answer([wire.search_result(result) for result in found])


async def distribution(call: Call) -> web.Response:
    """Say what a registry has under a name, without fetching it."""
    reference = Reference.parse(call.name)
    found = await call.service.threads.run(call.engine.distribution, reference, keychain=_keychain(call, reference))
    return json_answer(wire.distribution(found))


def _keychain(call: Call, reference: Reference) -> Keychain:
    """Return what the client knows: a credential for the registry of `reference`, and for no other."""
    credential = parse_auth_header(call.request.headers.get("X-Registry-Auth", ""))
    return for_registry(reference.registry, credential)
