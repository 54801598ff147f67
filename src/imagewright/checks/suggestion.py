"""Which of several names someone may have meant."""

from collections.abc import Iterable

__all__ = ["suggest"]

_FURTHEST = 2
_LONGEST = 64  # names beyond that are not compared


def suggest(name: str, options: Iterable[str]) -> str:
    """Return the option that at most two changes of a character make of `name`, or nothing; the first of equals."""
    best, distance = "", _FURTHEST + 1
    for option in options if len(name) <= _LONGEST else ():
        if option != name and abs(len(option) - len(name)) < distance:
            found = _distance(name, option)
            if found < distance:
                best, distance = option, found
    return best


def _distance(one: str, other: str) -> int:
    """Return how many characters must be added, removed or replaced."""
    # https://en.wikipedia.org/wiki/Levenshtein_distance, row by row
    row = list(range(len(other) + 1))
    for index, character in enumerate(one, start=1):
        before, row = row, [index]
        for position, candidate in enumerate(other):
            row.append(min(before[position] + (character != candidate), before[position + 1] + 1, row[position] + 1))
    return row[-1]
