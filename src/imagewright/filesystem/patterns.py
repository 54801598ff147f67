"""Wildcards of COPY and ADD sources, and of image list filters.

https://pkg.go.dev/path/filepath#Match
"""

import re
from functools import lru_cache

from imagewright.errors import InvalidInput

__all__ = ["character_class", "compile_pattern", "has_wildcards", "matches"]


def matches(pattern: str, name: str) -> bool:
    r"""Tell whether the whole of `name` matches: `*` and `?` stop at `/`; `[a-z]`, `[^a]` and `\` are understood.

    Raises `InvalidInput` "syntax error in pattern" for a malformed pattern.
    """
    return compile_pattern(pattern).fullmatch(name) is not None


def has_wildcards(text: str) -> bool:
    r"""Tell whether `text` holds one of `*?[` that no `\` takes the meaning of."""
    return re.search(r"[*?\[]", re.sub(r"\\.", "", text, flags=re.DOTALL)) is not None


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Return the expression that matches what `pattern` does; raise `InvalidInput` if it is malformed.

    What stands between two stars is taken at the first place where it fits and never reconsidered, which is right for
    stars and keeps the time linear.
    """
    chunks: list[list[str]] = [[]]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            chunks.append([])
        elif char == "?":
            chunks[-1].append("[^/]")
        elif char == "[":
            text, position = character_class(pattern, position)
            chunks[-1].append(text)
        elif char == "\\":
            if position == len(pattern):
                raise InvalidInput("syntax error in pattern")
            chunks[-1].append(re.escape(pattern[position]))
            position += 1
        else:
            chunks[-1].append(re.escape(char))
    first, *rest = ("".join(chunk) for chunk in chunks)
    *middle, last = rest or [""]
    stars = "".join(f"(?>[^/]*?{chunk})" for chunk in middle if chunk)
    return re.compile(first + stars + (f"[^/]*{last}" if rest else ""), re.DOTALL)


def character_class(pattern: str, position: int, *, without: str = "") -> tuple[str, int]:
    """Return the expression for the class that begins at `position`, after its `[`, and where it ends.

    A character in `without` never matches. Raises `InvalidInput` if the class is malformed.
    """
    negated = pattern.startswith("^", position)
    position += negated
    ranges: list[str] = []
    while not ranges or not pattern.startswith("]", position):
        low, position = _class_character(pattern, position)
        high = low
        if pattern.startswith("-", position):
            high, position = _class_character(pattern, position + 1)
        # A range that runs backwards matches nothing, and still is one.
        ranges.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    listed = "".join(ranges)
    barred = re.escape(without)
    if negated:
        text = f"[^{listed}{barred}]" if listed or barred else "."
    else:
        text = f"[{listed}]" if listed else "(?!)"
        if barred:
            text = f"(?![{barred}]){text}"
    return text, position + 1


def _class_character(pattern: str, position: int) -> tuple[str, int]:
    if pattern.startswith("\\", position):
        position += 1
    elif pattern.startswith(("-", "]"), position):
        raise InvalidInput("syntax error in pattern")
    if position + 1 >= len(pattern):  # neither the character nor the end of the class may be missing
        raise InvalidInput("syntax error in pattern")
    return pattern[position], position + 1
