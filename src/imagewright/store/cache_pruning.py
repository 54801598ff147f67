"""Which directories of cache mounts to remove."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.store.caches import CacheDirectory

__all__ = ["CachePruning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePruning:
    """Which cache directories to remove: those that all of what is given admits, and then no more than is needed.

    `ids` and `names` admit what they name, empty ones all; `unused_for_ns` what has not been used for so long, in
    nanoseconds. `reserved`, `max_used` and `min_free` are bytes: as soon as no more than `max_used` is used and at
    least `min_free` is free, or only `reserved` is used, enough has been removed; where all are None, when all is gone.
    """

    ids: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    unused_for_ns: int | None = None
    reserved: int | None = None
    max_used: int | None = None
    min_free: int | None = None

    def select(self, caches: Sequence[CacheDirectory], *, now_ns: int, free: int) -> list[CacheDirectory]:
        """Return those of `caches` to remove, at the time `now_ns` and with `free` bytes free; used last goes last."""
        used = sum(cache.size for cache in caches)
        selected = []
        for cache in sorted(caches, key=lambda cache: (cache.used_ns, cache.id)):
            if self._is_enough(used, free):
                break
            if self._admits(cache, now_ns):
                selected.append(cache)
                used -= cache.size
                free += cache.size
        return selected

    def _admits(self, cache: CacheDirectory, now_ns: int) -> bool:
        return (
            not cache.in_use
            and (not self.ids or cache.id in self.ids)
            and (not self.names or cache.name in self.names)
            and (self.unused_for_ns is None or cache.used_ns <= now_ns - self.unused_for_ns)
        )

    def _is_enough(self, used: int, free: int) -> bool:
        if self.reserved is None and self.max_used is None and self.min_free is None:
            return False
        if used <= (self.reserved or 0):
            return True
        if self.max_used is None and self.min_free is None:
            return False
        return (self.max_used is None or used <= self.max_used) and (self.min_free is None or free >= self.min_free)
