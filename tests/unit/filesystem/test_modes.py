import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import ModeChange, parse_mode


@pytest.mark.parametrize(("text", "mode"), [("0", 0), ("644", 0o644), ("0755", 0o755), ("7777", 0o7777), ("000001", 1)])
def test_octal(text: str, mode: int) -> None:
    assert parse_mode(text) == mode


# The text, a mode, what becomes of it for a file and for a directory. All but those with `s`, `t`, and an `X` after `x`
# was taken away are what chmod of GNU coreutils does with a umask of 0.
@pytest.mark.parametrize(
    ("text", "mode", "file", "directory"),
    [
        ("u+x", 0o644, 0o744, 0o744),
        ("+x", 0o644, 0o755, 0o755),
        ("+w", 0o444, 0o666, 0o666),
        ("a-w", 0o666, 0o444, 0o444),
        ("go-rwx", 0o755, 0o700, 0o700),
        ("u=rwX,go=rX", 0o600, 0o644, 0o755),
        ("u=rwX,go=rX", 0o700, 0o755, 0o755),
        ("u+rwX,go-w", 0o466, 0o644, 0o744),
        ("a=rX", 0o640, 0o444, 0o555),
        ("a=rX", 0o641, 0o555, 0o555),
        ("-X", 0o755, 0o644, 0o644),
        ("a-x,a+X", 0o755, 0o755, 0o755),  # X goes by the mode before the change
        ("=", 0o777, 0, 0),
        ("o=", 0o777, 0o770, 0o770),
        ("+", 0o640, 0o640, 0o640),
        ("g=u", 0o640, 0o660, 0o660),
        ("go=u-w", 0o740, 0o755, 0o755),
        ("o+g", 0o640, 0o644, 0o644),
        ("u-o", 0o745, 0o245, 0o245),
        ("ug=r,o=u", 0o777, 0o444, 0o444),
        ("u=g,g=o,o=u", 0o741, 0o414, 0o414),
        ("u+s", 0o755, 0o4755, 0o4755),
        ("g+s", 0o755, 0o2755, 0o2755),
        ("+s", 0o755, 0o6755, 0o6755),
        ("o+s", 0o755, 0o755, 0o755),
        ("u-s", 0o6755, 0o2755, 0o2755),
        ("u=rwx", 0o6755, 0o2755, 0o2755),
        ("a=rx", 0o7777, 0o1555, 0o1555),  # nobody's sticky bit stays
        ("+t", 0o777, 0o1777, 0o1777),
        ("u+t", 0o777, 0o1777, 0o1777),
        ("o+t", 0o777, 0o777, 0o777),
        ("a-t", 0o1777, 0o777, 0o777),
        ("aug+r", 0o000, 0o444, 0o444),
        ("u+r+w-x=x", 0o000, 0o100, 0o100),
    ],
)
def test_symbolic(text: str, mode: int, file: int, directory: int) -> None:
    change = parse_mode(text)
    assert isinstance(change, ModeChange)
    assert change.text == text
    assert (change.apply(mode, directory=False), change.apply(mode, directory=True)) == (file, directory)


@pytest.mark.parametrize(
    "text",
    ["", "z", "8", "10000", "0x1", "u", "u+q", "u+x,", ",u+x", "u+xg", "ug", "u +x", "755,u+x", "a+r," * 500, "+ug"],
)
def test_neither(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid chmod parameter: "):
        parse_mode(text)


def test_changes_of_one_text_are_equal() -> None:
    assert ModeChange("u+x") == ModeChange("u+x") != ModeChange("+x")
