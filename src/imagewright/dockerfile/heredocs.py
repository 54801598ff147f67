"""Finds the here-documents that a line announces.

https://docs.docker.com/reference/dockerfile/#here-documents. What counts as one follows BuildKit: a word `<<NAME`,
`<<-NAME`, or either with a quoted name, perhaps with a number in front or white space in between. A name with any part
quoted has its content taken literally. Beyond that, nothing within `((...))` counts, where `<<` shifts bits.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imagewright.dockerfile.words import split_words

__all__ = ["Marker", "chomp_document", "find_markers", "parse_marker", "rejoin_markers"]

_MARKER = re.compile(r"[0-9]*<<(-?)[\t\n\f\r ]*([^<]*)", re.DOTALL)
_BARE = re.compile(r"[0-9]*<<-?")
_NAME_PART = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"|\\(.)|([^'\"\\]+)", re.DOTALL)
_LEADING_TABS = re.compile(r"^\t+", re.MULTILINE)
_LONGEST_NAME = 1024


@dataclass(frozen=True, slots=True)
class Marker:
    """An announcement; a `literal` document is not expanded, one to `chomp` loses the tabs before its lines."""

    name: str
    literal: bool
    chomp: bool


def parse_marker(text: str) -> Marker | None:
    """Return the announcement that `text` is as a whole, or None."""
    match = _MARKER.fullmatch(text)
    if match is None or len(match[2]) > _LONGEST_NAME or len(split_words(match[2], "\\")) != 1:
        return None
    name = _NAME_PART.sub(lambda part: "".join(filter(None, part.groups())), match[2])
    unquoted = match[2]
    rest = _NAME_PART.sub("", unquoted)
    if rest or not name:  # a quote that is not closed, or nothing inside
        return None
    return Marker(name, literal="'" in unquoted or '"' in unquoted, chomp=bool(match[1]))


def rejoin_markers(words: list[str]) -> list[str]:
    """Put `<<` and the word behind it together again."""
    joined: list[str] = []
    for word in words:
        if joined and "<<" in joined[-1] and _BARE.fullmatch(joined[-1]):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def find_markers(text: str) -> Iterator[Marker]:
    """Yield the announcements among the words of `text`, in order."""
    for word in rejoin_markers(split_words(_without_arithmetic(text), "\\")):
        marker = parse_marker(word) if "<<" in word else None
        if marker:
            yield marker


def chomp_document(content: str) -> str:
    """Remove the tabs that lines begin with."""
    return _LEADING_TABS.sub("", content)


def _without_arithmetic(text: str) -> str:
    kept: list[str] = []
    position = 0
    while (begin := text.find("((", position)) >= 0 and (end := text.find("))", begin)) >= 0:
        kept.append(text[position:begin])
        position = end + 2
    return "".join((*kept, text[position:]))
