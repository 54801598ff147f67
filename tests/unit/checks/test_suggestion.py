import pytest

from imagewright.checks.suggestion import suggest


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
        ("a" * 65, ["a" * 64], ""),
    ],
)
def test_suggest(name: str, options: list[str], suggestion: str) -> None:
    assert suggest(name, options) == suggestion
