import pytest

from imagewright.dockerfile.heredocs import Marker, chomp_document, find_markers, parse_marker, rejoin_markers


@pytest.mark.parametrize(
    ("text", "name", "literal", "chomp"),
    [
        ("<<EOF", "EOF", False, False),
        ("<<-EOF", "EOF", False, True),
        ("<<'EOF'", "EOF", True, False),
        ('<<-"EOF"', "EOF", True, True),
        ("3<<EOF", "EOF", False, False),
        ("<< EOF", "EOF", False, False),
        ("<<E'O'F", "EOF", True, False),
        ("<<'a b'", "a b", True, False),
        (r'<<"a\"b"', r"a\"b", True, False),
        (r"<<a\ b", "a b", False, False),
        ("<<$X", "$X", False, False),
        ("<<EOF>x", "EOF>x", False, False),
    ],
)
def test_markers(text: str, name: str, literal: bool, chomp: bool) -> None:
    assert parse_marker(text) == Marker(name, literal, chomp)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "<<",
        "<<-",
        "<<<a",
        "a<<b",
        "<<a b",
        "<<''",
        "<<'a",
        '<<"a',
        "<<a<b",
        '"<<a"',
        "<<\\",
        "<<" + "a" * 2000,
    ],
)
def test_what_is_no_marker(text: str) -> None:
    assert parse_marker(text) is None


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("echo", []),
        ("cat <<A <<-'B' > c", ["A", "B"]),
        ("cat << A <<- B", ["A", "B"]),
        ("cat <<", []),
        ("cat <<''", []),
        ("cat '<<A' \"x <<B\" \\<<C", []),
        ("echo $((1 <<A)) ((2 << B)) <<C", ["C"]),
        ("echo ((1 <<A", ["A"]),
        ("echo <<<A", []),
    ],
)
def test_find_markers(text: str, names: list[str]) -> None:
    assert [marker.name for marker in find_markers(text)] == names


def test_rejoin_markers() -> None:
    assert rejoin_markers(["a", "<<", "b", "3<<-", "c", "<<d", "<<"]) == ["a", "<<b", "3<<-c", "<<d", "<<"]


def test_chomp_document() -> None:
    assert chomp_document("\t\ta\n \tb\n\tc\td\n") == "a\n \tb\nc\td\n"
