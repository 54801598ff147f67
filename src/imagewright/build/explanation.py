"""Why a step is not in the cache: what differs from the most similar step that is."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property

from imagewright.store import Record

__all__ = ["Explainer", "explain"]

_MOST_SHOWN = 60
# Leaves whose values are digests, which say nothing to anybody.
_DIGESTS = {
    "parent": "what it builds on is not the same",
    "source": "what it copies is not the same",
}


class Explainer:
    """Explains misses by the records that `load` returns, which is called once, at the first."""

    def __init__(self, load: Callable[[], Iterable[Record]]) -> None:
        self._load = load

    def explain(self, leaves: Mapping[str, str]) -> str:
        """Return in words why there is no record of `leaves`."""
        return explain(leaves, self._records)

    @cached_property
    def _records(self) -> Sequence[Record]:
        return tuple(self._load())


def explain(leaves: Mapping[str, str], records: Iterable[Record]) -> str:
    """Return in words what tells `leaves` from those of the most similar of `records`, which are not the same.

    That is the one with the fewest leaves that differ; among equals one of the same step on something else, then the
    newest.
    """
    alike = [record for record in records if record.leaves.get("op") == leaves.get("op")]
    if not alike:
        return "no such step was carried out before"
    nearest = min(alike, key=lambda record: _distance(leaves, record))
    differing = _differing(leaves, nearest.leaves)
    if not differing:
        return "the result is gone"
    return "; ".join(_describe(name, leaves.get(name), nearest.leaves.get(name)) for name in differing)


def _distance(leaves: Mapping[str, str], record: Record) -> tuple[int, bool, int]:
    differing = _differing(leaves, record.leaves)
    return len(differing), not _DIGESTS.keys() >= set(differing), -record.created_ns


def _differing(leaves: Mapping[str, str], others: Mapping[str, str]) -> list[str]:
    return sorted(name for name in leaves.keys() | others.keys() if leaves.get(name) != others.get(name))


def _describe(name: str, here: str | None, there: str | None) -> str:
    if name in _DIGESTS:
        return _DIGESTS[name]
    if there is None:
        return f"{name} is {_quote(here)}, and was not there"
    if here is None:
        return f"{name} was {_quote(there)}, and is not there"
    return f"{name} is {_quote(here)}, and was {_quote(there)}"


def _quote(value: str | None) -> str:
    text = (value or "").encode("utf-8", "replace").decode()
    return json.dumps(text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}...", ensure_ascii=False)
