"""Equal steps of builds that run at the same time: one carries the step out, the others wait for what comes of it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from imagewright.cancellation import Cancellation
from imagewright.events import Event, Reporter
from imagewright.oci import Digest

__all__ = ["Flights", "Turn"]

# For so long the others wait for a step whose client takes nothing of what it prints, and so often they look.
_PATIENCE = 10.0
_LOOK_SECONDS = 1.0


class Turn:
    """The right to carry out a step, for as long as whoever has it gets on with it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._telling_since: float | None = None

    def telling(self, report: Reporter) -> Reporter:
        """Return `report` such that others do not wait for ever while it blocks: for a client that does not read."""

        def tell(event: Event) -> None:
            self._telling_since = self._clock()
            try:
                report(event)
            finally:
                self._telling_since = None

        return tell

    def stuck(self, patience: float) -> bool:
        """Whether a report has been blocking for more than `patience` seconds."""
        since = self._telling_since
        return since is not None and self._clock() - since > patience


class Flights:
    """Who carries out which step, by its cache key. Safe for use by many threads.

    Nobody who has a turn waits for another, so that builds cannot wait for each other in a circle. `patience` in
    seconds is for turns that are stuck, by `clock`.
    """

    def __init__(self, *, patience: float = _PATIENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._changed = threading.Condition()
        self._turns: dict[Digest, Turn] = {}

    @contextmanager
    def turn(self, key: Digest, cancellation: Cancellation) -> Iterator[Turn]:
        """Wait until nobody carries out the step `key`, and be the one who does until the context ends.

        What the one before has come to is then in the cache, if it came to anything: look there first. A turn that is
        stuck is waited for no longer. Raises `Cancelled` soon after `cancellation` is cancelled.
        """
        turn = Turn(self._clock)
        forget = cancellation.on_cancel(self._wake)
        try:
            with self._changed:
                while self._taken(key):
                    cancellation.check()
                    self._changed.wait(_LOOK_SECONDS)
                self._turns[key] = turn
        finally:
            forget()
        try:
            yield turn
        finally:
            with self._changed:
                if self._turns.get(key) is turn:
                    del self._turns[key]
                self._changed.notify_all()

    def _taken(self, key: Digest) -> bool:
        turn = self._turns.get(key)
        return turn is not None and not turn.stuck(self._patience)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
