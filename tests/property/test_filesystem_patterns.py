"""Wildcards and ignore patterns against slow, plain readings of their rules."""

import contextlib
import re

from hypothesis import given
from hypothesis import strategies as st

from imagewright.errors import InvalidInput
from imagewright.filesystem import IgnorePatterns, matches

_PATHS = st.text("ab/", min_size=1, max_size=8).filter(lambda path: "//" not in f"/{path}/")
_PATTERNS = st.text("ab*?/", max_size=8)


@given(_PATTERNS, _PATHS)
def test_wildcards_match_as_a_plain_reading_says(pattern: str, path: str) -> None:
    plain = "".join({"*": "[^/]*", "?": "[^/]"}.get(char, char) for char in pattern)

    assert matches(pattern, path) == (re.fullmatch(plain, path) is not None)


@given(_PATTERNS.filter(lambda p: "//" not in f"/{p}/" and "***" not in p), _PATHS)
def test_ignored_is_what_a_plain_reading_says(pattern: str, path: str) -> None:
    plain = re.sub(
        r"\*\*/?|\*|\?",
        lambda star: {"*": "[^/]*", "?": "[^/]"}.get(star[0]) or (".*" if star.end() == len(pattern) else "(.*/)?"),
        pattern,
    )
    parts = path.split("/")
    parents = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    try:
        patterns = IgnorePatterns.parse([pattern])
    except InvalidInput:
        assert pattern.count("**") > 3
        return

    assert patterns.ignored(path) == any(re.fullmatch(plain, parent) for parent in parents)


@given(st.text("ab*?[]^-\\/!#. ", max_size=10), _PATHS)
def test_any_pattern_is_understood_or_refused(pattern: str, path: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert matches(pattern, path) in {True, False}
    with contextlib.suppress(InvalidInput):
        assert IgnorePatterns.parse([pattern]).ignored(path) in {True, False}
