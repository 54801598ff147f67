import pytest

from imagewright.checks.suggestion import Suggestions


@pytest.mark.parametrize(
    ("name", "options", "suggestion"),
    [
        ("VERSOIN", ["OTHER", "VERSION"], "VERSION"),
        ("abc", ["abcd", "ab"], "abcd"),
        ("abc", ["axxc", "abxc"], "abxc"),
        ("abc", ["abc"], ""),
        ("abc", ["xyz", "abcdef"], ""),
        ("abcdef", ["abxxxf"], ""),
        ("", ["ab"], "ab"),
        ("ab", [""], ""),
        ("abcd", ["bcda"], "bcda"),
        ("abcd", ["xabcd", "abcx"], "xabcd"),
        ("abcdef", ["cdefgh"], ""),
        ("kitten", ["sitting", "kittens"], "kittens"),
        ("a", ["abc"], "abc"),
        ("abc", ["a"], "a"),
        ("a" * 65, ["a" * 64], ""),
    ],
)
def test_suggest(name: str, options: list[str], suggestion: str) -> None:
    assert Suggestions().find(name, options) == suggestion


def test_there_is_an_end_to_it() -> None:
    suggestions = Suggestions()
    others = ["xyz"] * 9_999
    assert suggestions.find("abc", others) == ""
    assert suggestions.find("abc", ["xyz", "abd"]) == ""
    assert suggestions.find("abc", ["abd"]) == ""
    assert Suggestions().find("abc", ["xyz", "abd"]) == "abd"
