"""Events of nodes that run side by side, told one node after the other."""

import io
import pickle
import threading
from collections.abc import Callable
from functools import partial
from typing import IO, Generic, TypeVar

__all__ = ["Transcript"]

Event = TypeVar("Event")


class Transcript(Generic[Event]):
    """Passes the events of many nodes on to `report` in the order of the nodes.

    The lowest node that has not finished is live: its events are passed on as they come. Those of later nodes are held
    back, pickled into a file each from `open_file`, until their turn: give `tempfile.SpooledTemporaryFile` with a
    `max_size` to bound the memory. A node that failed is never finished: nothing that comes after it is told.

    Safe to use from many threads. `report` is called by one of them at a time, and while it blocks the others wait.
    """

    def __init__(self, report: Callable[[Event], None], *, open_file: Callable[[], IO[bytes]] = io.BytesIO) -> None:
        self._report = report
        self._open_file = open_file
        self._lock = threading.Lock()
        self._live = 0
        self._finished: set[int] = set()
        self._held: dict[int, IO[bytes]] = {}
        self._closed = False

    def reporter(self, index: int) -> Callable[[Event], None]:
        """Return where node `index` (counted from 0, no gaps) sends its events; those after `finish` are dropped."""
        return partial(self._tell, index)

    def finish(self, index: int) -> None:
        """Say that node `index` has no more events; idempotent. What is thereby no longer held back is told now."""
        with self._lock:
            if self._closed or index < self._live:
                return
            self._finished.add(index)
            while self._live in self._finished:
                self._finished.remove(self._live)
                self._live += 1
                self._release(self._live)

    def close(self) -> None:
        """Throw away what is still held back, and all events from now on; idempotent."""
        with self._lock:
            self._closed = True
            while self._held:
                self._held.popitem()[1].close()

    def _tell(self, index: int, event: Event) -> None:
        with self._lock:
            if self._closed or index < self._live or index in self._finished:
                return
            if index == self._live:
                self._report(event)
                return
            if index not in self._held:
                self._held[index] = self._open_file()
            pickle.dump(event, self._held[index])

    def _release(self, index: int) -> None:
        if index not in self._held:
            return
        with self._held.pop(index) as file:
            file.seek(0)
            while True:
                try:
                    event: Event = pickle.load(file)  # noqa: S301 - what `_tell` wrote, from a file that is ours
                except EOFError:
                    return
                self._report(event)
