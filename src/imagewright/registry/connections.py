"""Connections that know whom they may reach, that a caller can break off, and that never wait without end."""

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from imagewright.errors import Forbidden
from imagewright.registry.addresses import is_loopback, refused_peer

__all__ = ["PlainPool", "TlsPool", "Watch", "watched"]

_PIECE = 256 << 10
_current = threading.local()


class Watch:
    """What a request of one thread uses, so that another thread can break it off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._aborted = False

    def use(self, used: socket.socket | None) -> None:
        """Take note of the socket; one that comes after `abort` is shut at once."""
        with self._lock:
            self._socket = used
            aborted = self._aborted
        if aborted:
            self.abort()

    def set_timeout(self, seconds: float) -> None:
        """Wait for bytes that long at most from now on."""
        with self._lock:
            used = self._socket
        if used is not None:
            # It may be closed already, and then there is nothing to wait for.
            with suppress(OSError):
                used.settimeout(seconds)

    def abort(self) -> None:
        """Shut the socket, so that whoever waits for it goes on with an error; idempotent."""
        with self._lock:
            self._aborted = True
            used = self._socket
        if used is not None:
            # The bare call: the method of a TLS socket would pull the session from under the thread that reads.
            with suppress(OSError):
                socket.socket.shutdown(used, socket.SHUT_RDWR)


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Have `watch` follow the connections that this thread uses meanwhile."""
    _current.watch = watch
    try:
        yield
    finally:
        _current.watch = None


class _Lines:
    """A file whose last line is remembered."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.last = b""

    def readline(self, limit: int = -1, /) -> bytes:
        self.last = self._file.readline(limit)
        return self.last

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _WholeHead(http.client.HTTPResponse):
    """Tells a head that broke off, which the standard library takes for a short one."""

    def begin(self) -> None:
        real: Any = self.fp
        lines: Any = _Lines(real)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = real
        if lines.last not in {b"\r\n", b"\n"}:
            raise http.client.RemoteDisconnected("the connection ended within the head of an answer")


class _Guarded(HTTPConnection):
    """Refuses peers by their address once connected, which no name and no redirect can lie about."""

    response_class = _WholeHead

    send_timeout: float = 30

    def _new_conn(self) -> socket.socket:
        found = super()._new_conn()
        # Of a proxy too, whoever set the variable; what is behind it is the proxy's to judge.
        peer = str(found.getpeername()[0])
        if refused_peer(peer) or (self.host == "localhost" and not is_loopback(peer)):
            found.close()
            raise Forbidden(f"the address of {self.host} is refused: it is of no registry")
        self._note(found)
        return found

    def connect(self) -> None:
        super().connect()
        self._note(self.sock)

    def request(self, *arguments: Any, **options: Any) -> None:
        if self.sock is not None:
            self._note(self.sock)
        super().request(*arguments, **options)

    def send(self, data: Any) -> None:
        if self.sock is None or not isinstance(data, bytes | bytearray | memoryview):
            super().send(data)
            return
        # A timeout of `sendall` is for all of what it is given: give it little, and slow lines are not broken off.
        self.sock.settimeout(self.send_timeout)
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self.sock.sendall(view[start : start + _PIECE])

    @staticmethod
    def _note(used: socket.socket | None) -> None:
        watch: Watch | None = getattr(_current, "watch", None)
        if watch is not None:
            watch.use(used)


class _GuardedTls(_Guarded, HTTPSConnection):
    """The same over TLS."""


class PlainPool(HTTPConnectionPool):
    """Connections to one host over plain http."""

    ConnectionCls = _Guarded


class TlsPool(HTTPSConnectionPool):
    """Connections to one host over TLS."""

    ConnectionCls = _GuardedTls

    def _validate_conn(self, conn: Any) -> None:
        # As its parents', without their warning: that a host is not verified is what the operator said.
        if conn.is_closed:
            conn.connect()
