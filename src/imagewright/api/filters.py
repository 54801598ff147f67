"""The `filters` parameter of the requests about images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.api.times import parse_duration, parse_timestamp
from imagewright.api.versions import ApiVersion
from imagewright.engine import ImageQuery
from imagewright.errors import InvalidInput

__all__ = ["Filters", "Unused", "check_names", "image_query", "parse_filters", "unused", "yes_or_no"]

Filters = Mapping[str, tuple[str, ...]]

_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})
_LIST_FILTERS = frozenset({"dangling", "label", "before", "since", "reference", "until", "unused-for"})
_PRUNE_FILTERS = frozenset({"dangling", "label", "label!", "until", "unused-for"})


def parse_filters(text: str) -> Filters:
    """Return the values of each filter that `text`, JSON of either form that clients send, names.

    `{"k": {"v": true}}` and `{"k": ["v"]}` mean the same, whatever stands for `true`. Raises `InvalidInput`.
    """
    if not text:
        return {}
    try:
        document: Mapping[str, Any] | None = decode(text, "map[string]map[string]bool")
    except InvalidInput:
        try:
            document = decode(text, "map[string][]string")
        except InvalidInput:
            document = None
        if document is None:
            raise
    return {name: tuple(values or ()) for name, values in (document or {}).items()}


def check_names(filters: Filters, known: frozenset[str]) -> None:
    """Raise `InvalidInput` if there is a filter that is not `known`."""
    unknown = sorted(filters.keys() - known)
    if unknown:
        raise InvalidInput(f"Invalid filter '{unknown[0]}'")


def image_query(query: Query, version: ApiVersion, now_ns: int) -> ImageQuery:
    """Return which images a list request asks for; raise `InvalidInput` for filters that there are not."""
    filters = parse_filters(query.get("filters"))
    check_names(filters, _LIST_FILTERS)
    references = filters.get("reference", ())
    if not version.at_least(1, 41) and query.get("filter"):
        references = (*references, query.get("filter"))
    return ImageQuery(
        all=query.boolean("all"),
        dangling=yes_or_no(filters, "dangling"),
        labels=filters.get("label", ()),
        before=filters.get("before", ()),
        since=filters.get("since", ()),
        references=references,
        until_ns=tuple(parse_timestamp(text, now_ns) for text in filters.get("until", ())),
        unused_for_ns=_unused_for(filters),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unused:
    """Which unused images to remove; the fields are those of `Engine.prune`."""

    dangling: bool
    labels: Sequence[str]
    unlabelled: Sequence[str]
    until_ns: int | None
    unused_for_ns: int | None


def unused(query: Query, now_ns: int) -> Unused:
    """Return which images a prune request is about; raise `InvalidInput` for filters that there are not."""
    filters = parse_filters(query.get("filters"))
    check_names(filters, _PRUNE_FILTERS)
    until = filters.get("until", ())
    if len(until) > 1:
        raise InvalidInput("more than one until filter specified")
    dangling = yes_or_no(filters, "dangling")
    return Unused(
        dangling=dangling is None or dangling,
        labels=filters.get("label", ()),
        unlabelled=filters.get("label!", ()),
        until_ns=parse_timestamp(until[0], now_ns) if until else None,
        unused_for_ns=_unused_for(filters),
    )


def yes_or_no(filters: Filters, name: str) -> bool | None:
    """Return what the values of the filter `name` agree on, None where it is not given; raise `InvalidInput`."""
    if name not in filters:
        return None
    values = frozenset(filters[name])
    if not values or not (values <= _TRUE or values <= _FALSE):
        raise InvalidInput(f"Invalid filter '{name}=[{' '.join(sorted(values))}]'")
    return values <= _TRUE


def _unused_for(filters: Filters) -> int | None:
    """Return for how many nanoseconds an image must not have been used, the longest time if there are several."""
    durations: list[int] = []
    for text in filters.get("unused-for", ()):
        duration = parse_duration(text)
        if duration is None or duration < 0:
            raise InvalidInput(f"Invalid filter 'unused-for=[{text[:60]}]'")
        durations.append(duration)
    return max(durations, default=None)
