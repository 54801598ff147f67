import pytest

from imagewright.dockerfile.flags import Kind, parse_flags
from imagewright.errors import InvalidInput

KNOWN: dict[str, Kind] = {"t": "text", "m": "texts", "s": "switch", "u": "switch"}


def test_values() -> None:
    flags = parse_flags(("--t=a=b", "--m=1", "--m=2", "--s", "--u=FALSE"), KNOWN)

    assert flags.text("t") == "a=b"
    assert flags.texts("m") == ("1", "2")
    assert flags.switch("s") is True
    assert flags.switch("u") is False


def test_what_was_not_given() -> None:
    flags = parse_flags(("--t=",), KNOWN)

    assert flags.text("t") == ""
    assert flags.text("x") == ""
    assert flags.texts("m") == ()
    assert flags.switch("s") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--x=1",), "Unknown flag: x"),
        (("--=1",), "Unknown flag: "),
        (("--T=1",), "Unknown flag: T"),
        (("--t=1", "--t=2"), "Duplicate flag specified: t"),
        (("--s", "--s"), "Duplicate flag specified: s"),
        (("--t",), "Missing a value on flag: t"),
        (("--m",), "Missing a value on flag: m"),
        (("--s=",), "Missing a value on flag: s"),
        (("--s=Yes",), "Expecting boolean value for flag s, not: Yes"),
        (("--x\udcff=1",), "Unknown flag: x\ufffd"),
        (("--s=\udcff",), "Expecting boolean value for flag s, not: \ufffd"),
    ],
)
def test_wrong_flags(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_flags(words, KNOWN)

    assert str(caught.value) == message
