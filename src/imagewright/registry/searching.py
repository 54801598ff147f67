"""What a search for repositories finds.

Docker Hub's old search, which `docker search` still speaks: `GET /v1/search?q=TERM&n=LIMIT`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from imagewright.errors import InvalidInput, SystemFailure

__all__ = ["SearchResult", "check_filters", "matching", "read_results"]

_FILTERS = frozenset({"is-automated", "is-official", "stars"})
_TRUTHS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A repository that a search found."""

    name: str
    description: str
    star_count: int
    official: bool
    automated: bool


class _Result(msgspec.Struct, frozen=True):
    name: str
    description: str | None = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Results(msgspec.Struct, frozen=True):
    results: tuple[_Result, ...] | None = ()


def read_results(data: bytes) -> list[SearchResult]:
    """Return the results in the answer `data`; raises `SystemFailure` for what is no such answer."""
    try:
        results = msgspec.json.decode(data, type=_Results).results or ()
    except (msgspec.DecodeError, RecursionError) as error:
        raise SystemFailure("the registry's answer to the search is none") from error
    return [
        SearchResult(item.name, item.description or "", item.star_count, item.is_official, item.is_automated)
        for item in results
    ]


def check_filters(filters: Mapping[str, Sequence[str]]) -> None:
    """Raise `InvalidInput`, in the engine's words, for a filter or a value that is not known."""
    for name, values in filters.items():
        if name not in _FILTERS:
            raise InvalidInput(f"invalid filter '{name}'")
        for value in values:
            if (not value.isdigit()) if name == "stars" else value not in _TRUTHS:
                raise InvalidInput(f"invalid filter '{name}=[{value}]'")


def matching(results: Sequence[SearchResult], filters: Mapping[str, Sequence[str]]) -> list[SearchResult]:
    """Return those of `results` that pass all of `filters`, which have been checked."""
    stars = max((int(value) for value in filters.get("stars", ())), default=0)
    official = {_TRUTHS[value] for value in filters.get("is-official", ())}
    automated = {_TRUTHS[value] for value in filters.get("is-automated", ())}
    return [
        result
        for result in results
        if result.star_count >= stars
        and (not official or result.official in official)
        and (not automated or result.automated in automated)
    ]
