"""The parameters of `POST /build/prune`."""

from imagewright.api.filters import Filters, check_names, parse_filters
from imagewright.api.query import Query
from imagewright.api.times import parse_duration, parse_timestamp
from imagewright.api.versions import ApiVersion
from imagewright.engine import CachePruning
from imagewright.errors import InvalidInput

__all__ = ["CACHE_TYPE", "cache_pruning"]

CACHE_TYPE = "exec.cachemount"
"""What the API calls the directory of a cache mount; other caches of builds are layers of images here."""

_FILTERS = frozenset({"until", "unused-for", "id", "parent", "type", "description", "inuse", "shared", "private"})


def cache_pruning(query: Query, version: ApiVersion, now_ns: int) -> CachePruning | None:
    """Return which caches a request is about, None for none that there can be; raises `InvalidInput`."""
    filters = parse_filters(query.get("filters"))
    check_names(filters, _FILTERS)
    # Nothing is pruned that is in use, has a parent, or is shared with an image.
    impossible = bool({"inuse", "shared", "parent"} & filters.keys())
    if impossible or CACHE_TYPE not in filters.get("type", (CACHE_TYPE,)):
        return None
    newer = version.at_least(1, 48)
    return CachePruning(
        ids=filters.get("id", ()),
        names=filters.get("description", ()),
        unused_for_ns=_unused_for(filters, now_ns),
        reserved=_bytes(query, "reserved-space") if newer and query.get("reserved-space") else _kept(query),
        max_used=_bytes(query, "max-used-space") if newer else None,
        min_free=_bytes(query, "min-free-space") if newer else None,
    )


def _kept(query: Query) -> int | None:
    # 0 is what a client sends who wants to keep nothing in particular.
    return _bytes(query, "keep-storage")


def _bytes(query: Query, name: str) -> int | None:
    if not query.get(name):
        return None
    size = query.integer(name)
    if size < 0:
        raise InvalidInput(f"{name} is in bytes and not negative")
    return size or None


def _unused_for(filters: Filters, now_ns: int) -> int | None:
    """Return the longest time that the filters name, in nanoseconds; `until` is one, or a moment."""
    ages = []
    for name in ("until", "unused-for"):
        for text in filters.get(name, ()):
            age = parse_duration(text)
            if age is None and name == "until":
                age = now_ns - parse_timestamp(text, now_ns)
            if age is None or age < 0:
                raise InvalidInput(f"Invalid filter '{name}=[{text[:60]}]'")
            ages.append(age)
    return max(ages, default=None)
