"""Request targets: their path and the parameters after the question mark, read by the engine's rules.

The engine takes `;` for an error, and what it makes of the rest after an error counts for builds.
"""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from imagewright.errors import InvalidInput

__all__ = ["Query", "Target"]

_FALSE = frozenset({"", "0", "no", "false", "none"})
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_INT64 = 2**63
_ABSOLUTE = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*")


def _unescape(text: str) -> str:
    """Return `text` with its percent escapes taken back; bytes that are no UTF-8 become surrogate escapes."""
    bad = _ESCAPE.search(text)
    if bad:
        escape = text[bad.start() : bad.start() + 3].replace("\\", "\\\\").replace('"', '\\"')
        raise InvalidInput(f'invalid URL escape "{escape}"')
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _split(pair: str) -> tuple[str, str]:
    if ";" in pair:
        raise InvalidInput("invalid semicolon separator in query")
    name, _, value = pair.replace("+", " ").partition("=")
    return _unescape(name), _unescape(value)


@dataclass(frozen=True, slots=True)
class Query:
    """The parameters of a request. Names are case-sensitive, and the first value of a name counts.

    `error` is what is wrong with the text, "" if nothing is; the pairs that can be read are there all the same.
    """

    values: Mapping[str, tuple[str, ...]]
    error: str = ""

    @classmethod
    def parse(cls, text: str) -> "Query":
        """Return the parameters that `text`, what follows the question mark, holds; never raises."""
        values: dict[str, list[str]] = {}
        error = ""
        for pair in filter(None, text.split("&")):
            try:
                name, value = _split(pair)
            except InvalidInput as problem:
                error = error or str(problem)
            else:
                values.setdefault(name, []).append(value)
        return cls({name: tuple(found) for name, found in values.items()}, error)

    def check(self) -> None:
        """Raise `InvalidInput` if there is an error."""
        if self.error:
            raise InvalidInput(self.error)

    def get(self, name: str) -> str:
        """Return the first value of `name`, "" if there is none."""
        return self.values.get(name, ("",))[0]

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`, in order."""
        return self.values.get(name, ())

    def boolean(self, name: str) -> bool:
        """Whether `name` is there with a value that does not mean no: nothing, `0`, `no`, `false` or `none`."""
        return self.get(name).strip().lower() not in _FALSE

    def integer_or_zero(self, name: str) -> int:
        """Return the value of `name` as a 64-bit integer, 0 for anything that is none, as the engine does."""
        try:
            return self.integer(name)
        except InvalidInput:
            return 0

    def integer(self, name: str) -> int:
        """Return the value of `name` as a 64-bit integer; raise `InvalidInput` for anything that is none."""
        text = self.get(name)
        if not _INTEGER.fullmatch(text):
            raise InvalidInput(f'strconv.ParseInt: parsing "{text[:100]}": invalid syntax')
        value = int(text) if len(text) <= 20 else _INT64
        if not -_INT64 <= value < _INT64:
            raise InvalidInput(f'strconv.ParseInt: parsing "{text[:100]}": value out of range')
        return value


@dataclass(frozen=True, slots=True)
class Target:
    """What a request line asks for: `path` without escapes, `query` as it came."""

    path: str
    query: str

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Return the parts of `text`, in origin or absolute form; raise `InvalidInput` for a bad escape in the path."""
        absolute = _ABSOLUTE.match(text)
        rest = text[absolute.end() :] if absolute else text
        path, _, query = rest.partition("?")
        return cls(_unescape(path) or "/", query)

    @property
    def clean_location(self) -> str | None:
        """Where to send a client whose path has `//`, `.` or `..` in it; None if it has not."""
        clean = posixpath.normpath("/" + self.path.lstrip("/"))
        if self.path.endswith("/") and clean != "/":
            clean += "/"
        if clean == self.path:
            return None
        location = quote(clean.encode("utf-8", "surrogateescape"), safe="/:@!$&'()*+,;=~")
        return f"{location}?{self.query}" if self.query else location
