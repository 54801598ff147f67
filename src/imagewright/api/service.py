"""What the endpoints of one application share, and what one request brings to its endpoint."""

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field

from aiohttp import web

from imagewright.api.connection import Connection
from imagewright.api.listing import Listing
from imagewright.api.query import Query
from imagewright.api.roles import EngineProtocol
from imagewright.api.threads import Threads
from imagewright.api.versions import ApiVersion
from imagewright.engine import EngineInfo
from imagewright.errors import Cancelled, Unavailable

__all__ = ["BuildLimits", "Call", "Gate", "Jobs", "Service"]

_RUNNING_LIMIT = max(4, 2 * (os.cpu_count() or 1))
_QUEUE_LIMIT = 256
# Each holds a thread as long as it listens.
_WATCHERS_LIMIT = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildLimits:
    """How many builds may run at one time, and how many more may wait before others are turned away."""

    running: int = _RUNNING_LIMIT
    queued: int = _QUEUE_LIMIT


class Gate:
    """Lets at most `running` jobs through at a time, and `queued` wait; `refusal` is what others are told."""

    def __init__(
        self,
        running: int = _RUNNING_LIMIT,
        queued: int = _QUEUE_LIMIT,
        refusal: str = "too many builds are waiting: try again later",
    ) -> None:
        self._free = asyncio.Semaphore(running)
        self._queued = queued
        self._refusal = refusal
        self._waiting = 0

    @asynccontextmanager
    async def passing(self, call: "Call") -> AsyncIterator[None]:
        """Wait for a turn, and hold it.

        Raises `Unavailable` if too many wait already, `Cancelled` if the client leaves while it waits.
        """
        if self._free.locked():
            await self._wait(call)
        else:
            await self._free.acquire()
        try:
            yield
        finally:
            self._free.release()

    async def _wait(self, call: "Call") -> None:
        if self._waiting >= self._queued:
            raise Unavailable(self._refusal)
        self._waiting += 1
        turn = asyncio.ensure_future(self._free.acquire())
        left = False

        def leave() -> None:
            nonlocal left
            left = turn.cancel() or left

        try:
            with call.on_gone(leave):
                await turn
        except asyncio.CancelledError:
            turn.cancel()
            if left:
                raise Cancelled("Build cancelled") from None
            raise
        finally:
            self._waiting -= 1


class Jobs:
    """The long jobs that run, so that they can be told to stop when the daemon does, or by a name of the client's."""

    def __init__(self) -> None:
        self._stops: set[Callable[[], None]] = set()
        self._named: dict[object, tuple[str, Callable[[], None]]] = {}
        self.closing = False

    @contextmanager
    def running(self, stop: Callable[[], None]) -> Iterator[None]:
        """A job runs that `stop` ends; raises `Unavailable` when the daemon is shutting down."""
        if self.closing:
            raise Unavailable("the daemon is shutting down")
        self._stops.add(stop)
        try:
            yield
        finally:
            self._stops.discard(stop)

    @contextmanager
    def named(self, name: str, stop: Callable[[], None]) -> Iterator[None]:
        """Inside the `with`, `cancel` of `name` calls `stop`; of "" nothing is remembered."""
        key = object()
        if name:
            self._named[key] = (name, stop)
        try:
            yield
        finally:
            self._named.pop(key, None)

    def cancel(self, name: str) -> None:
        """Stop what goes by `name`, wait or run; nothing happens if nothing does."""
        for found, stop in list(self._named.values()):
            if found == name:
                stop()

    def close(self) -> None:
        """Stop every job, and let none start."""
        self.closing = True
        for stop in list(self._stops):
            stop()


@dataclass(frozen=True, slots=True)
class Service:
    """What the endpoints of one application share.

    `facts` are what the engine said of its machine at the start. `nonce` is of this application alone: what the engine
    counts may start anew after a crash. `experimental` is whether the daemon does what the engine calls so. `agents`
    are sockets of ssh agents by id, which every build may use.
    """

    engine: EngineProtocol
    threads: Threads
    facts: EngineInfo
    experimental: bool = False
    agents: Mapping[str, str] = field(default_factory=dict)
    listing: Listing = field(default_factory=Listing)
    gate: Gate = field(default_factory=Gate)
    jobs: Jobs = field(default_factory=Jobs)
    watchers: Gate = field(default_factory=lambda: Gate(_WATCHERS_LIMIT, 0, "too many clients watch events"))
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(frozen=True, slots=True)
class Call:
    """One request, on its way to its endpoint.

    `name` is the part of the path that names an image or the like, `endpoint` the path with a placeholder for it.
    """

    service: Service
    request: web.Request
    version: ApiVersion
    query: Query
    name: str
    endpoint: str

    @property
    def engine(self) -> EngineProtocol:
        """The engine, whose methods block: they are called by way of `Threads.run`."""
        return self.service.engine

    @property
    def connection(self) -> Connection | None:
        """The client's connection, None where the application is run by another server than ours."""
        return Connection.of(self.request)

    @contextmanager
    def on_gone(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` if the client leaves inside the `with` (see `Connection.on_gone`), or cancels this build."""
        connection = self.connection
        identity = self.query.get("buildid") if self.endpoint == "/build" else ""
        with connection.on_gone(callback) if connection else nullcontext(), self.service.jobs.named(identity, callback):
            yield
