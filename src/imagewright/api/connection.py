"""Client connections: who is there, who has left, who says nothing."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import StreamReader, web
from aiohttp.web_protocol import RequestHandler

__all__ = ["Connection", "Connections"]

_CONNECTION_LIMIT = 1000
# From the first byte of a request to the end of its headers.
_HEAD_SECONDS = 10.0
_GRACE_SECONDS = 0.5
# What is read, and for how long after the last of it, of a client that was told already that it is not understood.
_HEARD_SIZE = 64 << 20
_HEARD_SECONDS = 1.0
# An image list goes out in one piece then, not in some that each wait for their turn; so long the kernel has it.
_SEND_BUFFER = 1 << 20
# Of socket(7), for which `socket` has no name: past the limit for all, where this process may.
_SO_SNDBUFFORCE = 32
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: 1\r\n\r\n"


class Connections:
    """Makes a protocol for every connection, around one of aiohttp's, up to a limit."""

    def __init__(self, make_handler: Callable[[], RequestHandler]) -> None:
        self._make_handler = make_handler
        self._count = 0

    def __call__(self) -> "Connection":
        """Return the protocol for a new connection."""
        return Connection(self._make_handler(), self)

    def enter(self) -> bool:
        """Count one connection more; return whether there may be that many."""
        self._count += 1
        return self._count <= _CONNECTION_LIMIT

    def leave(self) -> None:
        """Count one connection less."""
        self._count -= 1


class Connection(asyncio.Protocol):
    """Stands between a transport and aiohttp's protocol, passes everything on, and notices more.

    The Docker engine takes a client that closes its sending side for one that has left, but still answers it; asyncio's
    default is to close. And aiohttp puts no limit on how slowly headers may come.
    """

    def __init__(self, inner: RequestHandler, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._refused = False
        self._gone = False
        self._busy = False
        # The body of the last request, which aiohttp reads to its end after an answer that came early.
        self._body: StreamReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._callbacks: dict[object, Callable[[], None]] = {}
        # How many bytes more are thrown away unread, None as long as the client is listened to.
        self._unheard: int | None = None
        self._heard = asyncio.Event()

    @staticmethod
    def of(request: web.Request) -> "Connection | None":
        """Return the connection that `request` came by; None if another kind of server runs the application."""
        protocol = request.transport.get_protocol() if request.transport else None
        return protocol if isinstance(protocol, Connection) else None

    @property
    def gone(self) -> bool:
        """Whether the client has left: it sends no more, or the connection is no more."""
        return self._gone or self._transport is None

    @contextmanager
    def serving(self, request: web.Request) -> Iterator[None]:
        """`request` is being served: its headers are complete, its body may not be."""
        self._busy = True
        self._body = request.content
        self._stop_timer()
        if self.gone:
            self._cut_body()
        try:
            yield
        finally:
            self._busy = False

    @contextmanager
    def on_gone(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` once, on the loop, if the client leaves inside the `with`; at once if it has left before."""
        key = object()
        if self.gone:
            callback()
        else:
            self._callbacks[key] = callback
        try:
            yield
        finally:
            self._callbacks.pop(key, None)

    def abort(self) -> None:
        """Close at once, so that the client sees that the answer is not complete."""
        if self._transport is not None:
            self._transport.abort()

    async def hear_out(self) -> None:
        """Throw away what comes, until the client stops sending or it is too much; nothing is understood after it."""
        self._unheard = _HEARD_SIZE
        while not self.gone and self._unheard > 0:
            self._heard.clear()
            try:
                async with asyncio.timeout(_HEARD_SECONDS):
                    await self._heard.wait()
            except TimeoutError:
                return

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or send the client away where there are too many."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream server makes
        self._transport = transport
        if not self._connections.enter():
            self._refused = True
            transport.write(_BUSY)
            transport.close()
            return
        _enlarge(transport)
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what came; the first bytes of a request start the clock."""
        if self._refused:
            return
        if self._unheard is not None:
            self._unheard -= len(data)
            self._heard.set()
            return
        if self._idle:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(_HEAD_SECONDS, self._too_slow)
        self._inner.data_received(data)

    def eof_received(self) -> bool:
        """The client will send no more: whoever waits for it is told, and what is being answered is still answered."""
        if self._refused:
            return False
        idle = self._idle
        self._leave()
        if idle:
            return False
        # What came last may be a complete request that waits for its handler; if it is not, nothing will follow.
        asyncio.get_running_loop().call_later(_GRACE_SECONDS, self._close_if_idle)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is no more."""
        self._transport = None
        self._connections.leave()
        self._stop_timer()
        if not self._refused:
            self._leave()
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads too slowly."""
        if not self._refused:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """The client has read enough to go on."""
        if not self._refused:
            self._inner.resume_writing()

    @property
    def _idle(self) -> bool:
        """Whether nothing has come since the last request, and all of that."""
        return not self._busy and self._timer is None and (self._body is None or self._body.is_eof())

    def _close_if_idle(self) -> None:
        if self._transport is not None and not self._busy:
            self._transport.close()

    def _cut_body(self) -> None:
        if self._body is not None and not self._body.is_eof():
            # The one exception that aiohttp takes silently where it reads what a handler has left.
            self._body.set_exception(TimeoutError("the client has left"))

    def _leave(self) -> None:
        self._gone = True
        self._heard.set()
        self._cut_body()
        callbacks, self._callbacks = list(self._callbacks.values()), {}
        for callback in callbacks:
            callback()

    def _too_slow(self) -> None:
        self._timer = None
        if not self._busy:
            self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _enlarge(transport: asyncio.Transport) -> None:
    """Have the kernel take an answer of `_SEND_BUFFER` bytes at once, as far as it lets this process have that."""
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None:
        return
    for option in (_SO_SNDBUFFORCE, socket.SO_SNDBUF):
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, option, _SEND_BUFFER)
            return
