"""What is no longer needed, removed without anybody waiting for it."""

import contextlib
import os
import secrets
import threading
import time
from collections import deque
from collections.abc import Generator
from itertools import islice

from imagewright.store.disk import removal, remove_tree

__all__ = ["Trash"]

# So much is removed at once: handing it over would cost as much.
_AT_ONCE = 200
# Then so many at a time, with pauses in which the disk has time for others: so many times as long as the work was.
_PIECE = 200
_PAUSES = 2.0


class Trash:
    """A directory of things that are being removed, on the filesystem of what is thrown into it; thread-safe.

    Removing many files takes the time of whoever waits for it, and the disk from whoever works meanwhile. So a thread
    does it, slowly, which there is only while there is something to remove. What is not removed when the trash is
    closed, or the process killed, is there until `sweep` finds it.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._waiting: deque[Generator[None, None, None]] = deque()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def throw(self, path: str) -> None:
        """Take what is at `path` away, at once, if it is there; it is removed when this returns, or soon.

        Raises `OSError` if the disk does not let go of it.
        """
        place = os.path.join(self.directory, secrets.token_hex(8))
        try:
            os.rename(path, place)
        except OSError:
            # It is not there, or a full disk has no room for another name.
            remove_tree(path)
            return
        removing = removal(place)
        if sum(1 for _ in islice(removing, _AT_ONCE)) == _AT_ONCE:
            self._hand_over(removing)

    def sweep(self) -> None:
        """Remove, soon, what an earlier process has left; to be called before anything is thrown."""
        for name in os.listdir(self.directory):
            self._hand_over(removal(os.path.join(self.directory, name)))

    def close(self) -> None:
        """Stop removing; nothing may be thrown any more. Idempotent."""
        self._closing.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()
        while self._waiting:
            self._waiting.popleft().close()

    def _hand_over(self, removing: Generator[None, None, None]) -> None:
        with self._lock:
            self._waiting.append(removing)
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="imagewright-trash", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while not self._closing.is_set():
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return
                removing = self._waiting.popleft()
            # What cannot be removed is in nobody's way; the next start tries again.
            with contextlib.suppress(OSError), contextlib.closing(removing):
                self._remove(removing)

    def _remove(self, removing: Generator[None, None, None]) -> None:
        while not self._closing.is_set():
            began = time.monotonic()
            if sum(1 for _ in islice(removing, _PIECE)) < _PIECE:
                return
            self._closing.wait(_PAUSES * (time.monotonic() - began))
