"""A token by which the caller of long work says that it is no longer wanted."""

import contextlib
import threading
from collections.abc import Callable

from imagewright.errors import Cancelled

__all__ = ["Cancellation"]


class Cancellation:
    """Passed down into long work, which calls `check` between its steps; safe to use from any thread.

    `doing` names the work, for the error. Work that blocks elsewhere registers with `on_cancel`, to be woken: RUN kills
    its container there.
    """

    def __init__(self, doing: str = "Build") -> None:
        self._doing = doing
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._next = 0

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` has been called."""
        return self._event.is_set()

    @property
    def error(self) -> Cancelled:
        """What `check` raises."""
        return Cancelled(f"{self._doing} cancelled")

    def part(self) -> "Cancellation":
        """Return another token for a part of the same work; it is not cancelled with this one."""
        return Cancellation(self._doing)

    def cancel(self) -> None:
        """Say that the work is no longer wanted; idempotent.

        Registered callbacks run in the calling thread, all of them even if one raises; the last error then goes on.
        """
        with self._lock:
            self._event.set()
            callbacks, self._callbacks = list(self._callbacks.values()), {}
        with contextlib.ExitStack() as stack:
            for callback in reversed(callbacks):
                stack.callback(callback)

    def check(self) -> None:
        """Raise `Cancelled` if `cancel` has been called."""
        if self._event.is_set():
            raise self.error

    def wait(self, seconds: float) -> bool:
        """Wait until cancelled, at most `seconds`; return whether it was."""
        return self._event.wait(seconds)

    def on_cancel(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` once on `cancel`, at once if it was called before; return a function that takes it back."""
        with self._lock:
            if not self._event.is_set():
                key = self._next
                self._next += 1
                self._callbacks[key] = callback
                return lambda: self._forget(key)
        callback()
        return lambda: None

    def _forget(self, key: int) -> None:
        with self._lock:
            self._callbacks.pop(key, None)
