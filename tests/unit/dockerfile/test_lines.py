import pytest

from imagewright.dockerfile.instructions import Span
from imagewright.dockerfile.lines import Line, Lines
from imagewright.errors import InvalidInput


def contents(text: str, *, escape: str = "\\", directives: bool = True) -> list[str]:
    return [line.content for line in Lines(text, escape=escape, directives=directives)]


def test_a_line_knows_where_it_stands() -> None:
    assert list(Lines("\n  A \\\r\n b \r\n\n#c\nC")) == [
        Line(Span(2, 3), "A  b ", "  A \\"),
        Line(Span(6, 6), "C", "C"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("\n \n\t\n", []),
        ("a", ["a"]),
        ("a\nb\n", ["a", "b"]),
        ("a\\\nb", ["ab"]),
        ("a\\ \t\nb", ["ab"]),
        ("a\\x\nb", ["a\\x", "b"]),
        ("a\\\\\nb", ["a\\\\", "b"]),
        ("\\\na", ["a"]),
        ("a\\", ["a"]),
        ("\\", [""]),
        ("a\\\n\\\n\\\nb", ["ab"]),
        ("a\\\n# x\\\n  #y\nb", ["ab"]),
        ("a\\\n b#c\n", ["a b#c"]),
        ("# a\\\nb", ["b"]),
        ("\u2003a\n\x1ca", ["a", "\x1ca"]),
        ("a\r\nb\rc", ["a", "b\rc"]),
    ],
)
def test_logical_lines(text: str, expected: list[str]) -> None:
    assert contents(text) == expected


def test_another_escape_character() -> None:
    assert contents("a`\nb\\\nc", escape="`") == ["ab\\", "c"]


def test_directives_end_with_the_first_line_that_is_none() -> None:
    lines = Lines("# Syntax = a/b:1 \n#check=skip=all;error=true\n# escape=`\n#\n# escape=\\\nA`\nB")

    assert [line.content for line in lines] == ["AB"]
    assert lines.directives == {"syntax": "a/b:1", "check": "skip=all;error=true", "escape": "`"}
    assert lines.escape == "`"


@pytest.mark.parametrize("first", ["", "# x", "# unknown=1", "A", "# escape", "# escape=", "# escape=  ", "#"])
def test_nothing_is_a_directive_after(first: str) -> None:
    lines = Lines(f"{first}\n# escape=`\nA")

    assert contents(f"{first}\n# escape=`\nA")[-1:] == ["A"]
    assert list(lines)
    assert lines.directives == {}


def test_directives_may_be_switched_off() -> None:
    assert contents("# escape=`\nA\\\nB", directives=False) == ["AB"]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("# escape=x", 1, "invalid escape token 'x' does not match ` or \\"),
        ("# syntax=x\n# escape=``", 2, "invalid escape token '``' does not match ` or \\"),
        ("# escape=`\n#escape=`", 2, "only one escape parser directive can be used"),
    ],
)
def test_wrong_directives(text: str, line: int, message: str) -> None:
    lines = Lines(text)

    with pytest.raises(InvalidInput) as caught:
        list(lines)

    assert str(caught.value) == message
    assert lines.start == line
    assert lines.source == text.split("\n")[line - 1]


def test_empty_lines_in_a_continuation_are_warned_of_once_a_line() -> None:
    lines = Lines("a \\\n\n \t\nb\nc\\\n\nd\ne\\\n#\nf")

    assert [line.content for line in lines] == ["a b", "cd", "ef"]
    assert lines.warnings == (
        "[WARNING]: Empty continuation line found in:\n    a b",
        "[WARNING]: Empty continuation line found in:\n    cd",
        "[WARNING]: Empty continuation lines will become errors in a future release.",
    )


def test_no_warning_without_reason() -> None:
    lines = Lines("a\n\nb")

    assert list(lines)
    assert lines.warnings == ()
    assert lines.start == 0
    assert lines.source == ""


def test_documents_are_taken_unchanged() -> None:
    lines = Lines("a\n# x\n\n  y\\\r\nE \n\tE\nE\r\nb\n")
    found = iter(lines)

    assert next(found).content == "a"
    assert lines.document("E", chomp=False) == "# x\n\n  y\\\r\nE \n\tE\n"
    assert lines.end == 7
    assert next(found).content == "b"


def test_tabs_before_the_terminator_of_a_document_to_chomp() -> None:
    lines = Lines("a\n\tx\n\t\tE\nb\n")
    found = iter(lines)

    assert next(found).content == "a"
    assert lines.document("E", chomp=True) == "\tx\n"
    assert next(found).content == "b"


def test_a_document_without_end() -> None:
    lines = Lines("a\nb\n")
    next(iter(lines))

    with pytest.raises(InvalidInput, match=r"^unterminated heredoc$"):
        lines.document("E", chomp=False)
