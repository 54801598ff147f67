"""Checks the flags of an instruction against those it knows."""

from collections.abc import Mapping, Sequence
from typing import Literal

from imagewright.dockerfile.characters import printable
from imagewright.errors import InvalidInput

__all__ = ["Flags", "Kind", "parse_flags"]

#: How a flag is used: `--name=text` once, the same any number of times, or `--name[=true|false]` once.
Kind = Literal["text", "texts", "switch"]


class Flags:
    """Flags with their values, by name; what was not given has no value."""

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        """The value of a flag of kind `text`, or an empty string."""
        return self._values[name][0] if name in self._values else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a flag of kind `texts`."""
        return tuple(self._values.get(name, ()))

    def switch(self, name: str) -> bool | None:
        """The value of a flag of kind `switch`, or None."""
        return self.text(name) == "true" if name in self._values else None


def parse_flags(words: tuple[str, ...], known: Mapping[str, Kind]) -> Flags:
    """Read `words`, each of which begins with `--`; raises InvalidInput for the first that is unknown or wrong."""
    values: dict[str, list[str]] = {}
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        kind = known.get(name)
        if kind is None:
            raise InvalidInput(f"Unknown flag: {printable(name)}")
        if name in values and kind != "texts":
            raise InvalidInput(f"Duplicate flag specified: {name}")
        if not (equals if kind != "switch" else value or not equals):
            raise InvalidInput(f"Missing a value on flag: {name}")
        if kind == "switch":
            value = value.lower() or "true"
            if value not in {"true", "false"}:
                raise InvalidInput(f"Expecting boolean value for flag {name}, not: {printable(word.partition('=')[2])}")
        values.setdefault(name, []).append(value)
    return Flags(values)
