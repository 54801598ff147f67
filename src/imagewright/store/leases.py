"""Who needs which layers right now, beside the images that are stored."""

import threading
from collections import Counter
from collections.abc import Iterable

from imagewright.oci import Digest

__all__ = ["Leases"]


class Leases:
    """Layers held by work that goes on in this process.

    An open lease keeps every layer that is added or found while it is open, by whichever thread: work spreads over
    threads, and to keep too much for a while costs only disk.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[int, set[Digest]] = {}
        self._held: Counter[Digest] = Counter()
        self._condemned: set[Digest] = set()
        self._next = 0

    def open(self) -> int:
        """Open a lease and return what names it."""
        with self._lock:
            self._next += 1
            self._open[self._next] = set()
            return self._next

    def close(self, lease: int) -> None:
        """Let go of what `lease` keeps; idempotent."""
        with self._lock:
            for diff_id in self._open.pop(lease, ()):
                self._held[diff_id] -= 1
                if not self._held[diff_id]:
                    del self._held[diff_id]

    def keep(self, diff_id: Digest) -> bool:
        """Have every open lease keep `diff_id`; return False if it is too late for that."""
        with self._lock:
            if diff_id in self._condemned:
                return False
            for kept in self._open.values():
                if diff_id not in kept:
                    kept.add(diff_id)
                    self._held[diff_id] += 1
            return True

    def condemn(self, diff_ids: Iterable[Digest]) -> list[Digest]:
        """Return those of `diff_ids` that no lease keeps; until `acquit`, none can."""
        with self._lock:
            condemned = [diff_id for diff_id in diff_ids if diff_id not in self._held]
            self._condemned.update(condemned)
            return condemned

    def acquit(self, diff_ids: Iterable[Digest]) -> None:
        """Let layers be kept again: they are gone, or stay after all."""
        with self._lock:
            self._condemned.difference_update(diff_ids)
