"""Connections to the outside world, from which nothing comes after its time."""

import contextlib
import errno
import http.client
import io
import os
import queue
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from imagewright.cancellation import Cancellation
from imagewright.errors import Forbidden, NotFound
from imagewright.remote.addresses import is_refused
from imagewright.remote.limits import FetchLimits

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Connection", "Resolve", "look_up", "reason"]

_MOST_HEAD = 64 << 10
_TICK = 0.1

Resolve = Callable[[str, int], list[tuple[int, str]]]
"""From a host and a port to address families and addresses; raises `OSError`."""


def look_up(host: str, port: int) -> list[tuple[int, str]]:
    """Return the addresses of `host` with their families, in the order in which the system would try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


class Connection(io.RawIOBase):
    """A connection, from which nothing comes after its time, or after `cancellation`.

    `peer` is the address that it leads to, once it is there.
    """

    def __init__(self, cancellation: Cancellation, limits: FetchLimits, deadline: float) -> None:
        self._cancellation = cancellation
        self._limits = limits
        self._deadline = deadline
        self._socket: socket.socket | None = None
        self.peer = ""
        self._head: int | None = _MOST_HEAD
        self._forget: Callable[[], object] = int

    def check(self) -> None:
        """Raise `Cancelled` if it is time for that."""
        self._cancellation.check()

    def connect(self, host: str, port: int, resolve: Resolve) -> None:
        """Connect to `host`; raises `OSError`, and `Forbidden` where only refused addresses have that name."""
        limit = min(time.monotonic() + self._limits.connect, self._deadline)
        failure: Exception | None = None
        for family, address in self._look_up(host, port, resolve, limit):
            if is_refused(address):
                failure = failure or Forbidden(f"address {address} is refused")
                continue
            try:
                self._socket = self._connect(family, address, port, limit)
            except OSError as error:
                failure = OSError(None, f"dial tcp {_joined(address, port)}: connect: {reason(error)}")
                continue
            self.peer = str(self._socket.getpeername()[0])
            if is_refused(self.peer):
                raise Forbidden(f"address {self.peer} is refused")
            self._forget = self._cancellation.on_cancel(self._hang_up)
            return
        raise failure or OSError(None, f"dial tcp: lookup {host}: no address")

    def encrypt(self, tls: ssl.SSLContext, host: str) -> None:
        """Go on with TLS, and with nobody but `host`."""
        if self._socket is not None:
            self._socket.settimeout(self._patience(self._limits.connect))
            self._socket = tls.wrap_socket(self._socket, server_hostname=host)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        if self._socket is not None:
            self._socket.settimeout(self._patience(self._limits.idle))
            self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that a response is read from."""
        return io.BufferedReader(self, _MOST_HEAD)

    def end_head(self) -> None:
        """Say that the headers have been read: from here on the body is counted by others."""
        self._head = None

    def readable(self) -> bool:
        """Return True: bytes come from here."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Receive into `buffer` and return how many bytes, 0 at the end; raises `OSError` and `Cancelled`."""
        view = memoryview(buffer).cast("B")
        if self._head is not None:
            view = view[: self._head]
            if not view:
                raise http.client.LineTooLong("header")
        self.check()
        if self._socket is None:
            return 0
        self._socket.settimeout(self._patience(self._limits.idle))
        count = self._socket.recv_into(view)
        self.check()
        if self._head is not None:
            self._head -= count
        return count

    def close(self) -> None:
        """Hang up; idempotent."""
        self._forget()
        if self._socket is not None:
            self._socket.close()
        super().close()

    def _patience(self, seconds: float) -> float:
        """Return how long to wait for something that may take `seconds`."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(seconds, left)

    def _hang_up(self) -> None:
        # Wakes whoever waits for the connection.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _look_up(self, host: str, port: int, resolve: Resolve, limit: float) -> list[tuple[int, str]]:
        # The system's resolver takes its time and cannot be stopped, so it is left behind.
        answers: queue.SimpleQueue[list[tuple[int, str]] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(None, "no such host"))

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        while True:
            with contextlib.suppress(queue.Empty):
                found = answers.get(timeout=_TICK)
                if isinstance(found, OSError):
                    raise NotFound(f"dial tcp: lookup {host}: no such host") from found
                return found
            self._wait(limit)

    def _connect(self, family: int, address: str, port: int, limit: float) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            code = connection.connect_ex((address, port))
            if code == errno.EINPROGRESS:
                with selectors.DefaultSelector() as selector:
                    selector.register(connection, selectors.EVENT_WRITE)
                    while not selector.select(_TICK):
                        self._wait(limit)
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            connection.close()
            raise
        if code:
            connection.close()
            raise OSError(code, os.strerror(code))
        return connection

    def _wait(self, limit: float) -> None:
        self.check()
        if time.monotonic() >= limit:
            raise TimeoutError


def reason(error: Exception) -> str:
    """Return why a connection failed, in words of our own or of the system, not of whoever is at its other end."""
    if isinstance(error, ssl.SSLError):
        return f"tls: {getattr(error, 'verify_message', '') or 'handshake failed'}".lower()
    if isinstance(error, http.client.HTTPException):
        return "malformed HTTP response"  # in its own words is what the server said
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return "i/o timeout" if isinstance(error, TimeoutError) else "input/output error"


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
