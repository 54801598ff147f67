"""The `filters` parameter of the container list."""

import re
from collections.abc import Callable, Mapping, Sequence

from imagewright.api import wire
from imagewright.api.filters import Filters, check_names, parse_filters, yes_or_no
from imagewright.engine import Container, ImageSummary
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Digest

__all__ = ["Selection"]

_HEALTHS = frozenset({"none", "starting", "healthy", "unhealthy"})
_PORTS = re.compile(r"\d{1,5}(?:-\d{1,5})?(?:/\w+)?")
_KNOWN = frozenset(
    {
        *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name", "network"),
        *("publish", "since", "status", "volume"),
    }
)
# Intermediate containers have no ports, no volumes, and no network that has a name.
_NEVER = ("expose", "network", "publish", "volume")

_LITERAL = re.compile(r"[A-Za-z0-9_/-]*")
# Patterns that a backtracking matcher answers at once, whatever they are matched with: no groups, few repetitions.
_SIMPLE = re.compile(r"[^(){}\\]*")
_REPETITIONS_LIMIT = 4


class Selection:
    """Which containers the filters in `text` select.

    Raises `InvalidInput` for filters that there are not, and values that cannot be.
    """

    def __init__(self, text: str) -> None:
        self._filters: Filters = parse_filters(text)
        check_names(self._filters, _KNOWN)
        for value in self._filters.get("status", ()):
            if value not in wire.CONTAINER_STATES:
                raise InvalidInput(f"Invalid filter 'status={value}'")
        for value in self._filters.get("health", ()):
            if value not in _HEALTHS:
                raise InvalidInput(f"Unrecognised filter value for health: {value}")
        for value in self._filters.get("exited", ()):
            if not re.fullmatch(r"[+-]?\d{1,9}", value):
                raise InvalidInput(f'strconv.Atoi: parsing "{value[:60]}": invalid syntax')
        for name in ("expose", "publish"):
            for value in self._filters.get(name, ()):
                _check_ports(name, value)
        self._task = yes_or_no(self._filters, "is-task")
        self._names = [_name_pattern(value) for value in self._filters.get("name", ())]

    @property
    def shows_stopped(self) -> bool:
        """Whether stopped containers are asked for by a filter alone."""
        return bool(self._filters.get("status"))

    def choose(
        self,
        containers: Sequence[Container],
        images: Mapping[Digest, ImageSummary],
        find_image: Callable[[str], Digest],
        find_container: Callable[[str], Container],
    ) -> list[Container]:
        """Return those of `containers`, the newest first, that are selected; raise `NotFound` for one that is named.

        `images` are all that there are, `find_image` and `find_container` look a name up.
        """
        chosen = self._between(containers, find_container)
        if "ancestor" in self._filters:
            ancestors = set(_found(self._filters["ancestor"], find_image))
            chosen = [one for one in chosen if not ancestors.isdisjoint(_line(one.image, images))]
        return [one for one in chosen if self._admits(one, images.get(one.image))]

    def _between(self, containers: Sequence[Container], find: Callable[[str], Container]) -> list[Container]:
        chosen = list(containers)
        for name in self._filters.get("before", ()):
            chosen = chosen[chosen.index(bound) + 1 :] if (bound := find(name)) in chosen else []
        for name in self._filters.get("since", ()):
            bound = find(name)
            chosen = chosen[: chosen.index(bound)] if bound in chosen else chosen
        return chosen

    def _admits(self, container: Container, image: ImageSummary | None) -> bool:
        filters = self._filters
        labels = (image.labels if image else None) or {}
        return (
            not any(filters.get(name) for name in _NEVER)
            and not self._task
            and _any(filters, "id", container.id.startswith)
            and _any(filters, "status", "exited".__eq__)
            and _any(filters, "health", "none".__eq__)
            and _any(filters, "exited", lambda code: int(code) == container.exit_code)
            and all(_has_label(labels, label) for label in filters.get("label", ()))
            and (not self._names or any(matches(container.name) for matches in self._names))
        )


def _any(filters: Filters, name: str, test: Callable[[str], bool]) -> bool:
    values = filters.get(name)
    return not values or any(test(value) for value in values)


def _has_label(labels: Mapping[str, str], label: str) -> bool:
    key, equals, value = label.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _found(names: Sequence[str], find: Callable[[str], Digest]) -> list[Digest]:
    """Return the images called `names`, without those that there are not."""
    found: list[Digest] = []
    for name in names:
        try:
            found.append(find(name))
        except (InvalidInput, NotFound):
            continue
    return found


def _line(image: Digest, images: Mapping[Digest, ImageSummary]) -> set[Digest]:
    """Return `image` and the parents that it goes back to."""
    line = {image}
    summary = images.get(image)
    while summary is not None and summary.parent is not None and summary.parent not in line:
        line.add(summary.parent)
        summary = images.get(summary.parent)
    return line


def _check_ports(name: str, value: str) -> None:
    if not _PORTS.fullmatch(value):
        port = value.partition("/")[0][:60]
        raise InvalidInput(
            f'error while looking up for {name} {value[:60]}: strconv.ParseUint: parsing "{port}": invalid syntax'
        )


def _name_pattern(text: str) -> Callable[[str], bool]:
    """Return what tells whether a name has a part that the regular expression `text` matches.

    One that is none matches nothing, as with the engine. Raises `Unsupported` for one that could take long.
    """
    if _LITERAL.fullmatch(text):
        return lambda name: text in f"/{name}"
    if not _SIMPLE.fullmatch(text) or sum(map(text.count, "*+?")) > _REPETITIONS_LIMIT or len(text) > 200:
        raise Unsupported("a name filter with groups or many repetitions is not supported")
    try:
        pattern = re.compile(text)
    except re.error:
        return lambda _: False
    return lambda name: bool(pattern.search(f"/{name}") or pattern.search(name))
