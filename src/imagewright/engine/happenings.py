"""What happened to images, for those who want to know: `docker events`."""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Self

from imagewright.cancellation import Cancellation

__all__ = ["Happening", "Happenings"]

# As the engine has it.
_REMEMBERED = 256
# A watcher that is slower than that loses the oldest: what is kept for it must have an end.
_HELD_FOR_A_WATCHER = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that was done, at `time_ns` since 1970, in the engine's own words.

    `id` is what it was done to: an image's id with `sha256:`, or a container's; "" for a prune. `attributes` are the
    labels of that, and what else the engine tells, a `name` in most cases.
    """

    type: Literal["image", "builder", "container"]
    action: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int


class Happenings:
    """The last few happenings, and whoever waits for the next. Thread-safe; `clock` gives nanoseconds since 1970."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._changed = threading.Condition()
        self._past: deque[Happening] = deque(maxlen=_REMEMBERED)
        self._watches: weakref.WeakSet[_Watch] = weakref.WeakSet()
        self._closed = False

    def record(
        self,
        kind: Literal["image", "builder", "container"],
        action: str,
        actor: str,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """Tell of something that was done just now; waits for nobody."""
        with self._changed:
            happening = Happening(
                type=kind, action=action, id=actor, attributes=dict(attributes or {}), time_ns=self._clock()
            )
            self._past.append(happening)
            for watch in self._watches:
                watch.pending.append(happening)
            self._changed.notify_all()

    def watch(self, *, since_ns: int | None, until_ns: int | None, cancellation: Cancellation) -> Iterator[Happening]:
        """Return the happenings between two times, then those to come; with neither time, only those to come.

        The watch begins now. It ends at `until_ns`, when `cancellation` is cancelled, or with `close`; nothing is to
        be done for one that is given up before.
        """
        with self._changed:
            past = () if since_ns is None and until_ns is None else self._past
            chosen = [
                happening
                for happening in past
                if (since_ns is None or happening.time_ns >= since_ns)
                and (until_ns is None or happening.time_ns <= until_ns)
            ]
            watch = _Watch(self, chosen, until_ns, cancellation)
            self._watches.add(watch)
            return watch

    def close(self) -> None:
        """End all watches; idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def wait(self, watch: "_Watch") -> Happening | None:
        """Return the next happening for `watch`, None at its end."""
        with self._changed:
            while not watch.pending:
                left_ns = None if watch.until_ns is None else watch.until_ns - self._clock()
                if self._closed or watch.cancellation.cancelled or (left_ns is not None and left_ns <= 0):
                    return None
                self._changed.wait(None if left_ns is None else left_ns / 1e9)
            if watch.cancellation.cancelled:
                return None
            happening = watch.pending.popleft()
            return None if watch.until_ns is not None and happening.time_ns > watch.until_ns else happening

    def wake(self) -> None:
        """Have every watch see whether it is at its end."""
        with self._changed:
            self._changed.notify_all()


class _Watch:
    """One who watches; for one thread at a time."""

    def __init__(
        self, happenings: Happenings, past: list[Happening], until_ns: int | None, cancellation: Cancellation
    ) -> None:
        self.pending: deque[Happening] = deque(past, maxlen=_HELD_FOR_A_WATCHER)
        self.until_ns = until_ns
        self.cancellation = cancellation
        self._happenings = happenings

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Happening:
        forget = self.cancellation.on_cancel(self._happenings.wake)
        try:
            happening = self._happenings.wait(self)
        finally:
            forget()
        if happening is None:
            raise StopIteration
        return happening
