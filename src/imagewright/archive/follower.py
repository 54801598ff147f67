"""Work on the pieces of a stream in a second thread."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Follower"]


class Follower:
    """Calls `work` with each piece it is given, in order, in a thread of its own; a context manager.

    Hashing and writing leave the interpreter lock, so they run beside the parsing of the same stream. At most
    `_BEHIND` pieces wait. What `work` raises comes out of the next `feed`, or of leaving the context.
    """

    _BEHIND = 2

    def __init__(self, work: Callable[[bytes], object]) -> None:
        self._work = work
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(self._BEHIND)
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def feed(self, piece: bytes) -> None:
        """Have `work` called with `piece`, which must not change."""
        self._free.acquire()
        if self._error is not None:
            raise self._error
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="archive-follower", daemon=True)
            self._thread.start()
        self._queue.put(piece)

    def finish(self) -> None:
        """Wait until all pieces are worked on; idempotent."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._work(piece)
                except BaseException as error:  # noqa: BLE001 - it is raised again where the pieces come from
                    self._error = error
            self._free.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.finish()
        except BaseException:
            if error is None:
                raise
