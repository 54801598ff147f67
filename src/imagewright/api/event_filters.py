"""The `filters` parameter of the events."""

from collections.abc import Mapping

from imagewright.api.filters import Filters, parse_filters
from imagewright.engine import Happening
from imagewright.errors import InvalidInput
from imagewright.reference import Reference

__all__ = ["EventSelection"]

# Each is compared with the name and the id of whatever an event is about.
_ACTORS = ("daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config")
# Actions that go on after a colon.
_OPEN_ACTIONS = frozenset({"health_status", "exec_create", "exec_start"})


class EventSelection:
    """Which events the filters in `text` select; filters that there are not select all, as with the engine.

    The rules are those of daemon/events/filter.go in https://github.com/moby/moby. Raises `InvalidInput` for a text
    that is no filter.
    """

    def __init__(self, text: str) -> None:
        self._filters: Filters = parse_filters(text)

    def admits(self, happening: Happening) -> bool:
        """Whether `happening` is selected."""
        name = happening.attributes.get("name", "")
        return (
            self._has_action(happening.action)
            and self._is("type", happening.type)
            and self._is("scope", "local")
            and all(self._begins(actor, happening.id, name) for actor in _ACTORS)
            and self._is_of_image(happening)
            and self._has_labels(happening.attributes)
        )

    def _is(self, name: str, *found: str) -> bool:
        values = self._filters.get(name)
        return not values or any(text in values for text in found)

    def _begins(self, name: str, *found: str) -> bool:
        values = self._filters.get(name)
        return not values or any(text.startswith(values) for text in found)

    def _has_action(self, action: str) -> bool:
        if _OPEN_ACTIONS.isdisjoint(self._filters.get("event", ())):
            return self._is("event", action)
        return self._begins("event", action)

    def _is_of_image(self, happening: Happening) -> bool:
        name = happening.attributes.get("name" if happening.type == "image" else "image", "")
        found = (happening.id, name)
        return self._is("image", *found) or self._is("image", *map(_without_tag, found))

    def _has_labels(self, attributes: Mapping[str, str]) -> bool:
        for label in self._filters.get("label", ()):
            key, equals, value = label.partition("=")
            if key not in attributes or (equals and attributes[key] != value):
                return False
        return True


def _without_tag(name: str) -> str:
    try:
        return Reference.parse(name).familiar_name
    except InvalidInput:
        return name
