import pytest

from imagewright.dockerfile.characters import BLANKS, SPACES, printable, quote


def test_white_space_is_what_the_engine_takes_for_it() -> None:
    assert len(SPACES) == 25
    assert SPACES.isspace()
    assert set(BLANKS) < set(SPACES)
    assert not set("\x1c\x1d\x1e\x1f\ufeff\u200b") & set(SPACES)


@pytest.mark.parametrize(
    ("text", "shown"), [("", ""), ("a\n", "a\n"), ("\xe9", "\xe9"), ("a\udcff\ud800b", "a\ufffd\ufffdb")]
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", '""'),
        ("a b'", '"a b\'"'),
        ('"\\', r'"\"\\"'),
        ("\a\b\f\n\r\t\v", r'"\a\b\f\n\r\t\v"'),
        ("\x01\x7f", r'"\x01\x7f"'),
        ("\xe9\U0001f600", '"\xe9\U0001f600"'),
        ("\x85\u200b\u2003", r'"\u0085\u200b\u2003"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\udcff", r'"\xff"'),
    ],
)
def test_quote(text: str, shown: str) -> None:
    assert quote(text) == shown
