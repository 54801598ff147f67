"""The HTTP application: from a request to its endpoint and back, with one line of log for each."""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext

import structlog
from aiohttp import web

from imagewright import __version__
from imagewright.api.connection import Connection
from imagewright.api.errors import PageNotFound, error_response, redirect_response
from imagewright.api.log import log_failure
from imagewright.api.query import Query, Target
from imagewright.api.roles import EngineProtocol
from imagewright.api.routes import find_route
from imagewright.api.service import BuildLimits, Call, Gate, Service
from imagewright.api.threads import Threads
from imagewright.api.versions import MAXIMUM, ApiVersion

__all__ = ["SERVER", "make_app"]

_SERVICE: web.AppKey[Service] = web.AppKey("service", Service)
SERVER = f"imagewright/{__version__} (linux)"
# How much of a path is logged.
_LOGGED = 1000
_REFUSED = {"Api-Version": str(MAXIMUM), "Ostype": "linux"}
_HEADERS: web.RequestKey[dict[str, str]] = web.RequestKey("headers", dict)

_log = structlog.get_logger("imagewright.api")


def make_app(
    engine: EngineProtocol,
    builds: BuildLimits = BuildLimits(),  # noqa: B008 - a value
    *,
    experimental: bool = False,
    agents: Mapping[str, str] | None = None,
) -> web.Application:
    """Return the application that speaks the Engine API for `engine`; closing the engine is up to the caller.

    `experimental` has it do what the engine calls so, which is squashing; `agents` are sockets of ssh agents by id,
    which every build may use. `serve` runs it. Under another server a client that leaves is noticed only when something
    is sent to it.
    """
    app = web.Application()

    async def service(app: web.Application) -> AsyncIterator[None]:
        threads = Threads()
        app[_SERVICE] = Service(
            engine,
            threads,
            await threads.run(engine.info),
            experimental,
            agents or {},
            gate=Gate(builds.running, builds.queued),
        )
        yield
        await threads.close()

    app.cleanup_ctx.append(service)
    app.on_shutdown.append(_stop_jobs)
    app.on_response_prepare.append(_add_headers)
    app.router.add_route("*", r"/{path:[\s\S]*}", _dispatch)
    return app


async def _stop_jobs(app: web.Application) -> None:
    app[_SERVICE].jobs.close()


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER
    response.headers.update(request.get(_HEADERS, {}))


async def _dispatch(request: web.Request) -> web.StreamResponse:
    started = time.monotonic()
    status = 499
    connection = Connection.of(request)
    try:
        with connection.serving(request) if connection else nullcontext():
            response = await _answer(request)
        if connection and connection.gone:
            response.force_close()
        status = response.status
        return response
    finally:
        seconds = round(time.monotonic() - started, 6)
        # Values of parameters may be secrets, so the query is left out.
        path = request.raw_path.partition("?")[0][:_LOGGED]
        _log.info("request", method=request.method, path=path, status=status, seconds=seconds)


def _spoken(path: str) -> ApiVersion:
    """Return the version in front of `path`, the newest where there is none: errors look as it has them."""
    found = re.match(r"/v([0-9.]+)/", path)
    return ApiVersion.parse(found[1]) if found else MAXIMUM


async def _answer(request: web.Request) -> web.StreamResponse:
    version = MAXIMUM
    try:
        target = Target.parse(request.raw_path)
        if target.clean_location is not None:
            return redirect_response(target.clean_location)
        match = find_route(request.method, target.path)
        request[_HEADERS] = _REFUSED
        if match.version:
            version = ApiVersion.parse(match.version)
            version.check(match.version)
        service = request.app[_SERVICE]
        request[_HEADERS] = {**_REFUSED, "Docker-Experimental": str(service.experimental).lower()}
        query = Query.parse(target.query)
        if not match.route.lenient:
            query.check()
        call = Call(service, request, version, query, match.name, match.route.path)
        return await match.route.endpoint(call)
    except PageNotFound as error:
        return error_response(error, _spoken(request.raw_path))
    except Exception as error:  # noqa: BLE001 - nothing that goes wrong may take the daemon with it
        log_failure(error, request.method, request.path)
        return error_response(error, version)
