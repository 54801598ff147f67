"""When images were last used: kept to a minute, so that a look at an image costs next to nothing."""

import threading
from collections.abc import Callable

from sqlalchemy import Connection, update

from imagewright.errors import SystemFailure
from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.catalogue import Catalogue
from imagewright.store.database import Database

__all__ = ["Uses", "note_use"]

_MINUTE_NS = 60 * 1_000_000_000


class Uses:
    """The times of last use. Thread-safe.

    `catalogue` has them, and the database soon after: at most once a minute for an image, without waiting for the disk
    nor for another transaction.
    """

    def __init__(self, database: Database, catalogue: Catalogue, clock: Callable[[], int]) -> None:
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[Digest, int] = {}

    def note(self, image: Digest, *, write: bool = True) -> None:
        """Say that `image` is being used; nothing happens if it was less than a minute ago, or is not here.

        Without `write` the database hears of it with the next `flush`, so that many are written at once.
        """
        now_ns = self._clock()
        if not self._catalogue.note_use(image, now_ns, apart_ns=_MINUTE_NS):
            return
        with self._lock:
            self._pending[image] = now_ns
        if not write:
            return
        # Whoever writes now takes it along at the next use: it must not be waited for.
        if self._database.try_exclusive():
            try:
                self.flush()
            finally:
                self._database.end_exclusive()

    def flush(self) -> None:
        """Write what is not written yet. A use is no less a use where it cannot be noted: that is tried again."""
        with self._lock:
            pending, self._pending = self._pending, {}
        if not pending:
            return
        try:
            with self._database.write(durable=False) as connection:
                for image, now_ns in pending.items():
                    note_use(connection, image, now_ns)
        except SystemFailure:
            with self._lock:
                self._pending = pending | self._pending


def note_use(connection: Connection, image: Digest, now_ns: int) -> None:
    """Write that `image`, if it is here, was used at `now_ns`."""
    connection.execute(update(schema.uses).where(schema.uses.c.id == image).values(last_used_ns=now_ns))
