import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import matches
from imagewright.filesystem.patterns import has_wildcards


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("abc", "abc"),
        ("*", "abc"),
        ("*", ""),
        ("*c", "abc"),
        ("a*", "a"),
        ("a*/b", "abc/b"),
        ("a*b*c*d*e*/f", "axbxcxdxe/f"),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f"),
        ("a*b?c*x", "abxbbxdbxebxczzx"),
        ("ab[c]", "abc"),
        ("ab[b-d]", "abc"),
        ("ab[^e-g]", "abc"),
        ("a\\*b", "a*b"),
        ("a?b", "a☺b"),
        ("a[^a]b", "a☺b"),
        ("a[^a]b", "a/b"),
        ("[a-ζ]*", "α"),
        ("[\\]a]", "]"),
        ("[\\-]", "-"),
        ("[x\\-]", "-"),
        ("[a-z^]", "^"),
        ("[^z-a]", "q"),
        ("[z-ax]", "x"),
        ("a?c", "a\udcffc"),
        ("a?c", "a\nc"),
        ("**", "ab"),
        ("a.b+c|(d)", "a.b+c|(d)"),
        ("[[]", "["),
        ("*a*a*a*a*a*a*a*a*a*b", "a" * 200 + "b"),
    ],
)
def test_pattern_matches(pattern: str, name: str) -> None:
    assert matches(pattern, name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("*", "a/b"),
        ("a*", "ab/c"),
        ("a*/b", "a/c/b"),
        ("*x", "xxxy"),
        ("ab[^c]", "abc"),
        ("a?b", "a/b"),
        ("a*b", "a/b"),
        ("[a-ζ]*", "A"),
        ("abc", "abcd"),
        ("abc", "xabc"),
        ("[z-a]", "z"),
        ("a.c", "abc"),
        ("**", "a/b"),
        ("*a*a*a*a*a*a*a*a*a*a*a*a*b", "a" * 250),
    ],
)
def test_pattern_does_not_match(pattern: str, name: str) -> None:
    assert not matches(pattern, name)


@pytest.mark.parametrize("pattern", ["[", "[^", "[]a]", "[-]", "[x-]", "[-x]", "[a-", "[a", "[^bc", "a[", "a\\", "[\\"])
def test_malformed_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidInput, match=r"^syntax error in pattern$"):
        matches(pattern, "a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a", False), ("a*", True), ("a?", True), ("[a]", True), ("a\\*", False), ("\\\\*", True), ("a\\\n*", True)],
)
def test_wildcards_are_seen(text: str, expected: bool) -> None:
    assert has_wildcards(text) is expected
