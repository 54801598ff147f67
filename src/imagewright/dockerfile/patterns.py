r"""Shell patterns in variable substitutions: `*` is any text, `?` any character, `\` takes one of these literally.

https://docs.docker.com/reference/dockerfile/#environment-replacement. There are no bracket expressions. Instead of
regular expressions, whose time may explode, the parts between the stars are looked for one after the other.
"""

import re
from dataclasses import dataclass

from imagewright.errors import InvalidInput

__all__ = ["Pattern", "parse_pattern", "remove_prefix", "remove_suffix", "replace"]

_TOKEN = re.compile(r"\\.|[*?\\]|[^*?\\]+", re.DOTALL)
#: The product of pattern and text lengths that may be compared where `?` rules out a linear search.
_MOST_COMPARISONS = 1 << 24


@dataclass(frozen=True, slots=True)
class Pattern:
    """Parts that stars separate; in a part, None stands for `?`."""

    parts: tuple[tuple[str | None, ...], ...]

    @property
    def reversed(self) -> "Pattern":
        """The pattern that matches texts read backwards."""
        return Pattern(tuple(part[::-1] for part in reversed(self.parts)))


def parse_pattern(text: str) -> Pattern:
    r"""Read a pattern; raises InvalidInput for a backslash before anything that needs none, except `}` and `/`."""
    parts: list[list[str | None]] = [[]]
    for token in _TOKEN.findall(text):
        match token[0], token[1:]:
            case "*", _:
                parts.append([])
            case "?", _:
                parts[-1].append(None)
            case "\\", "*" | "?" | "\\" | "}" | "/" as literal:
                parts[-1].append(literal)
            case "\\", _:
                raise InvalidInput(f"invalid pattern ({text}) in substitution: invalid escape '{token}'")
            case _:
                parts[-1].extend(token)
    return Pattern(tuple(map(tuple, parts)))


def remove_prefix(value: str, pattern: Pattern, *, longest: bool) -> str:
    """Return `value` without its shortest or longest beginning that matches."""
    _limit(value, pattern)
    found = _search(value, pattern, 0, longest=longest, anchored=True)
    return value[found[1] :] if found else value


def remove_suffix(value: str, pattern: Pattern, *, longest: bool) -> str:
    """Return `value` without its shortest or longest end that matches."""
    return remove_prefix(value[::-1], pattern.reversed, longest=longest)[::-1]


def replace(value: str, pattern: Pattern, replacement: str, *, every: bool, largest: int) -> str:
    """Return `value` with the first longest match replaced, or every one; an empty pattern matches nothing.

    Raises InvalidInput if the replacements alone would have more than `largest` characters.
    """
    _limit(value, pattern)
    if len(pattern.parts) > 1:
        # The last part is found where it comes last, so that nothing is left for a second match.
        found = _search(value, pattern, 0, longest=True, anchored=False)
        return value[: found[0]] + replacement + value[found[1] :] if found else value
    part = pattern.parts[0]
    if not part:
        return value
    compiled = _compiled(part)
    if every and len(value) // len(part) * len(replacement) > largest:
        count = sum(1 for _ in compiled.finditer(value))
        if count * len(replacement) > largest:
            raise InvalidInput("the result is too large")
    return compiled.sub(lambda _: replacement, value, count=0 if every else 1)


def _search(value: str, pattern: Pattern, begin: int, *, longest: bool, anchored: bool) -> tuple[int, int] | None:
    """Return where the first match from `begin` on begins and ends; if `anchored`, it must begin there."""
    first, *rest = pattern.parts
    found = _find(value, first, begin)
    if found < 0 or (anchored and found != begin):
        return None
    end = found + len(first)
    for part in rest[:-1]:
        position = _find(value, part, end)
        if position < 0:
            return None
        end = position + len(part)
    if rest:
        position = _find_last(value, rest[-1], end) if longest else _find(value, rest[-1], end)
        if position < 0:
            return None
        end = position + len(rest[-1])
    return found, end


def _limit(value: str, pattern: Pattern) -> None:
    length = sum(map(len, pattern.parts))
    if len(value) * length > _MOST_COMPARISONS and any(None in part for part in pattern.parts):
        raise InvalidInput("the pattern of a substitution is too long for its value")


def _find(value: str, part: tuple[str | None, ...], begin: int) -> int:
    if None not in part:
        return value.find("".join(map(str, part)), begin)
    match = _compiled(part).search(value, begin)
    return match.start() if match else -1


def _find_last(value: str, part: tuple[str | None, ...], begin: int) -> int:
    if None not in part:
        return value.rfind("".join(map(str, part)), begin)
    match = _compiled(part[::-1]).search(value[begin:][::-1])
    return len(value) - match.end() if match else -1


def _compiled(part: tuple[str | None, ...]) -> re.Pattern[str]:
    return re.compile("".join("." if each is None else re.escape(each) for each in part), re.DOTALL)
