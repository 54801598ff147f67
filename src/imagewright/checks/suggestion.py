"""Which of several names someone may have meant."""

from collections.abc import Iterable
from itertools import islice

__all__ = ["Suggestions"]

_FURTHEST = 2
_LONGEST = 64
# How many names are looked at in all: a file of a million slips gets no hint for the last of them.
_MOST_LOOKS = 10_000


class Suggestions:
    """Suggests names, for one file."""

    def __init__(self) -> None:
        self._looks_left = _MOST_LOOKS

    def find(self, name: str, options: Iterable[str]) -> str:
        """Return the option that at most two changes of a character make of `name`, or nothing; the first of equals."""
        best, distance = "", _FURTHEST + 1
        for option in islice(options, self._looks_left) if len(name) <= _LONGEST else ():
            self._looks_left -= 1
            if option != name and abs(len(option) - len(name)) < distance:
                found = _distance(name, option)
                if found < distance:
                    best, distance = option, found
        return best


def _distance(one: str, other: str) -> int:
    """Return how many characters must be added, removed or replaced; beyond `_FURTHEST` some larger number."""
    # https://en.wikipedia.org/wiki/Levenshtein_distance, row by row; what is far from the diagonal is too far anyway.
    far = _FURTHEST + 1
    row: list[int] = [*range(far), *[far] * (len(other) + 1 - far)][: len(other) + 1]
    for index, character in enumerate(one, start=1):
        before, row = row, [far] * (len(other) + 1)
        if index <= _FURTHEST:
            row[0] = index
        for position in range(max(1, index - _FURTHEST), min(len(other), index + _FURTHEST) + 1):
            replaced = before[position - 1] + (character != other[position - 1])
            row[position] = min(replaced, before[position] + 1, row[position - 1] + 1)
    return row[-1]
