import pytest

from imagewright.dockerfile.patterns import parse_pattern, remove_prefix, remove_suffix, replace
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("value", "pattern", "shortest", "longest"),
    [
        ("a/b/c", "*/", "b/c", "c"),
        ("a/b/c", "a", "/b/c", "/b/c"),
        ("a/b/c", "b", "a/b/c", "a/b/c"),
        ("a/b/c", "", "a/b/c", "a/b/c"),
        ("a/b/c", "*", "a/b/c", ""),
        ("a/b/c", "?/", "b/c", "b/c"),
        ("a/b/c", "?", "/b/c", "/b/c"),
        ("a/b/c", "*?", "/b/c", ""),
        ("a/b/c", "?*", "/b/c", ""),
        ("a/b/c", "*/?", "/c", ""),
        ("abab", "*a*b", "ab", ""),
        ("abcabc", "a*c*b", "c", "c"),
        ("abcabc", "a*x*b", "abcabc", "abcabc"),
        ("abcabc", "a*?x", "abcabc", "abcabc"),
        ("a*b", r"a\*", "b", "b"),
        ("a?b", r"a\?", "b", "b"),
        (r"a\b", r"a\\", "b", "b"),
        ("a}b", r"a\}", "b", "b"),
        ("a\nb", "a?", "b", "b"),
        ("a.b", "a.", "b", "b"),
        ("", "*", "", ""),
        ("", "?", "", ""),
    ],
)
def test_remove_prefix(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert remove_prefix(value, parse_pattern(pattern), longest=False) == shortest
    assert remove_prefix(value, parse_pattern(pattern), longest=True) == longest


@pytest.mark.parametrize(
    ("value", "pattern", "shortest", "longest"),
    [
        ("a.tar.gz", ".*", "a.tar", "a"),
        ("a.tar.gz", ".gz", "a.tar", "a.tar"),
        ("a.tar.gz", ".tar", "a.tar.gz", "a.tar.gz"),
        ("a.tar.gz", "t?r*", "a.", "a."),
        ("a.tar.gz", r"\*", "a.tar.gz", "a.tar.gz"),
        ("abcabc", "b*", "abca", "a"),
    ],
)
def test_remove_suffix(value: str, pattern: str, shortest: str, longest: str) -> None:
    assert remove_suffix(value, parse_pattern(pattern), longest=False) == shortest
    assert remove_suffix(value, parse_pattern(pattern), longest=True) == longest


@pytest.mark.parametrize(
    ("value", "pattern", "first", "every"),
    [
        ("a/b/a", "a", "X/b/a", "X/b/X"),
        ("a/b/a", "z", "a/b/a", "a/b/a"),
        ("a/b/a", "", "a/b/a", "a/b/a"),
        ("a/b/a", "*", "X", "X"),
        ("", "*", "X", "X"),
        ("a/b/a", "?", "X/b/a", "XXXXX"),
        ("a/b/a", "/*", "aX", "aX"),
        ("a/b/a", "/?", "aX/a", "aXX"),
        ("aXbXc", "X*X", "aXc", "aXc"),
        ("abab", "b*", "aX", "aX"),
        ("a1b2", "?2", "a1X", "a1X"),
        ("axbxcx", "a*?x", "X", "X"),
    ],
)
def test_replace(value: str, pattern: str, first: str, every: str) -> None:
    assert replace(value, parse_pattern(pattern), "X", every=False, largest=100) == first
    assert replace(value, parse_pattern(pattern), "X", every=True, largest=100) == every


@pytest.mark.parametrize(("pattern", "shown"), [("a\\b", r"\b"), ("a\\", "\\"), ("\\\n", "\\\n")])
def test_needless_escapes(pattern: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_pattern(pattern)

    assert str(caught.value) == f"invalid pattern ({pattern}) in substitution: invalid escape '{shown}'"


def test_replacements_are_bounded() -> None:
    with pytest.raises(InvalidInput, match="the result is too large"):
        replace("aaa", parse_pattern("a"), "bb", every=True, largest=5)


def test_replacements_of_the_largest_size() -> None:
    assert replace("aba", parse_pattern("a"), "bb", every=True, largest=4) == "bbbbb"


def test_comparisons_are_bounded() -> None:
    value = "a" * 100_000
    pattern = parse_pattern("*" + "a?" * 1000 + "b")

    with pytest.raises(InvalidInput, match="too long"):
        remove_prefix(value, pattern, longest=True)
    with pytest.raises(InvalidInput, match="too long"):
        replace(value, pattern, "", every=True, largest=1)


def test_many_stars_take_no_time() -> None:
    assert remove_prefix("a" * 100_000, parse_pattern("*a" * 20_000 + "b"), longest=True) == "a" * 100_000
