"""Bytes between the event loop and a thread, in both directions, in bounded memory."""

import asyncio
import threading
from collections import deque

from imagewright.cancellation import Cancellation

__all__ = ["Inlet", "Outlet"]

_CAPACITY = 4 << 20


class Inlet:
    """What the event loop receives and a thread reads: an `archive.Readable`.

    The loop's side is `feed`, `finish` and `fail`, the thread's is `read`. Made on the loop.
    """

    def __init__(self, *, capacity: int = _CAPACITY) -> None:
        self._loop = asyncio.get_running_loop()
        self._capacity = capacity
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        # How much of the first chunk was read already, and how much is left of all of them, in bytes.
        self._offset = 0
        self._size = 0
        self._finished = False
        self._error: Exception | None = None
        self._room = asyncio.Event()

    async def feed(self, data: bytes) -> None:
        """Hand `data`, which is not empty, to the reader; waits while too much is unread, drops it after `fail`."""
        with self._changed:
            if self._error:
                return
            self._chunks.append(data)
            self._size += len(data)
            self._changed.notify()
            full = self._size >= self._capacity
            if full:
                self._room.clear()
        if full:
            await self._room.wait()

    def finish(self) -> None:
        """Say that nothing follows."""
        with self._changed:
            self._finished = True
            self._changed.notify()

    def fail(self, error: Exception) -> None:
        """Make every read raise `error` from now on, whatever is unread; the first error counts."""
        with self._changed:
            self._error = self._error or error
            self._changed.notify()
        self._room.set()

    def read(self, n: int, /) -> bytes:
        """Return at least one and at most `n` bytes, or `b""` at the end; blocks until then."""
        with self._changed:
            while not (self._chunks or self._finished or self._error):
                self._changed.wait()
            if self._error:
                raise self._error
            if not self._chunks:
                return b""
            chunk = self._chunks[0]
            piece = chunk[self._offset : self._offset + n]
            self._offset += len(piece)
            if self._offset == len(chunk):
                self._chunks.popleft()
                self._offset = 0
            half = self._capacity // 2
            was_above = self._size > half
            self._size -= len(piece)
            if was_above and self._size <= half:
                self._loop.call_soon_threadsafe(self._room.set)
            return piece


class Outlet:
    """What threads write and the event loop sends: an `archive.Writable`.

    The threads' side is `write` and `close`, the loop's is `take`, `hurry` and `abandon`. Made on the loop;
    `cancellation` knows what the work is called.
    """

    def __init__(self, cancellation: Cancellation, *, capacity: int = _CAPACITY) -> None:
        self._loop = asyncio.get_running_loop()
        self._cancellation = cancellation
        self._capacity = capacity
        self._changed = threading.Condition()
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = False
        self._hurried = False
        self._abandoned = False
        self._ready = asyncio.Event()

    def write(self, data: bytes, /) -> None:
        """Queue `data`, as one piece; blocks while too much is unsent. Raises `Cancelled` if it cannot be sent."""
        with self._changed:
            while self._size >= self._capacity and not (self._hurried or self._abandoned):
                self._changed.wait()
            if self._abandoned or self._size >= self._capacity:
                raise self._cancellation.error
            self._chunks.append(data)
            self._size += len(data)
            if len(self._chunks) == 1:
                self._loop.call_soon_threadsafe(self._ready.set)

    def close(self) -> None:
        """Say that nothing follows; idempotent."""
        with self._changed:
            self._closed = True
        self._loop.call_soon_threadsafe(self._ready.set)

    async def take(self) -> list[bytes]:
        """Return the pieces that wait, in order; an empty list at the end. Waits until there is one or the other."""
        while True:
            with self._changed:
                chunks, self._chunks, self._size = self._chunks, [], 0
                closed = self._closed
                self._ready.clear()
                self._changed.notify_all()
            if chunks or closed:
                return chunks
            await self._ready.wait()

    def hurry(self) -> None:
        """Let no writer wait any more: what does not fit raises `Cancelled` there."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()

    def abandon(self) -> None:
        """Say that nothing will be taken any more: every write raises `Cancelled`."""
        with self._changed:
            self._abandoned = True
            self._chunks, self._size = [], 0
            self._changed.notify_all()
