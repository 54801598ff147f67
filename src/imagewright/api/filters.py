"""The `filters` parameter of the lists."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from imagewright.api import wire
from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.api.versions import ApiVersion
from imagewright.engine import Container, ImageQuery
from imagewright.errors import InvalidInput, Unsupported
from imagewright.oci import parse_time

__all__ = ["container_filter", "image_query", "parse_filters", "parse_timestamp"]

Filters = Mapping[str, tuple[str, ...]]

_TRUE = frozenset({"1", "true"})
_FALSE = frozenset({"0", "false"})
_SECOND = 1_000_000_000
_UNITS_NS = {"h": 3600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND, "ms": 1_000_000, "us": 1000, "µs": 1000, "ns": 1}
_DURATION = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:h|ms|m|s|us|µs|ns))+")
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns)")
_SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{1,9}))?")
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?")


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


def image_query(query: Query, version: ApiVersion, now_ns: int) -> ImageQuery:
    """Return which images a list request asks for; raise `InvalidInput` for filters that there are not."""
    filters = parse_filters(query.get("filters"))
    unknown = sorted(filters.keys() - {"dangling", "label", "before", "since", "reference", "until"})
    if unknown:
        raise InvalidInput(f"Invalid filter '{unknown[0]}'")
    references = filters.get("reference", ())
    if not version.at_least(1, 41) and query.get("filter"):
        references = (*references, query.get("filter"))
    return ImageQuery(
        all=query.boolean("all"),
        dangling=_boolean(filters, "dangling"),
        labels=filters.get("label", ()),
        before=filters.get("before", ()),
        since=filters.get("since", ()),
        references=references,
        until_ns=tuple(parse_timestamp(text, now_ns) for text in filters.get("until", ())),
    )


def _boolean(filters: Filters, name: str) -> bool | None:
    """Return what the values of a yes-or-no filter agree on, None where it is not given."""
    if name not in filters:
        return None
    values = frozenset(filters[name])
    if not values or not (values <= _TRUE or values <= _FALSE):
        raise InvalidInput(f"Invalid filter '{name}=[{' '.join(sorted(values))}]'")
    return values <= _TRUE


def parse_timestamp(text: str, now_ns: int) -> int:
    """Return the nanoseconds since 1970 that `text` names, seen from `now_ns`.

    It is a duration before now, unix seconds, or a date with or without a time, in UTC where it names no zone. Raises
    `InvalidInput` for anything else.
    """
    if _DURATION.fullmatch(text):
        duration = sum(int(float(count) * _UNITS_NS[unit]) for count, unit in _DURATION_PART.findall(text))
        return now_ns + duration if text.startswith("-") else now_ns - duration
    seconds = _SECONDS.fullmatch(text)
    if seconds:
        return int(seconds[1]) * _SECOND + int((seconds[2] or "").ljust(9, "0"))
    parts = _LOCAL_TIME.fullmatch(text)
    if parts is None:
        raise InvalidInput(f'failed to parse value as time or duration: "{text[:60]}"')
    date, hour, minute, second, fraction, zone = (part or "" for part in parts.groups())
    return parse_time(f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}{fraction}{zone or 'Z'}")


_Test = Callable[[Container, str], bool]

# Intermediate containers have no labels, so that no label filter selects one.
_CONTAINER_TESTS: Mapping[str, _Test] = {
    "id": lambda container, value: container.id.startswith(value),
    "name": lambda container, value: value.removeprefix("/") in container.name,
    "status": lambda _, value: value == "exited",
    "exited": lambda container, value: str(container.exit_code) == value,
    "label": lambda _container, _value: False,
}
_KNOWN_CONTAINER_FILTERS = frozenset(
    {
        *("ancestor", "before", "expose", "health", "is-task", "isolation", "network", "publish", "since", "volume"),
    }
)


def container_filter(text: str) -> Callable[[Container], bool]:
    """Return whether a container is one that the filters in `text` select.

    Raises `InvalidInput` for filters that there are not, `Unsupported` for those that imagewright does not have.
    """
    filters = parse_filters(text)
    for name, values in sorted(filters.items()):
        if name in _KNOWN_CONTAINER_FILTERS:
            raise Unsupported(f"the container filter {name} is not supported yet")
        if name not in _CONTAINER_TESTS:
            raise InvalidInput(f"Invalid filter '{name}'")
        for value in values:
            _check_value(name, value)

    def selected(container: Container) -> bool:
        return all(
            any(_CONTAINER_TESTS[name](container, value) for value in values)
            for name, values in filters.items()
            if values
        )

    return selected


def _check_value(name: str, value: str) -> None:
    if name == "status" and value not in wire.CONTAINER_STATES:
        raise InvalidInput(f"Invalid filter 'status={value}'")
    if name == "exited" and not re.fullmatch(r"[+-]?\d{1,9}", value):
        raise InvalidInput(f'strconv.Atoi: parsing "{value[:60]}": invalid syntax')
