import pytest

from imagewright.dockerfile.heredocs import Marker
from imagewright.dockerfile.instructions import Heredoc, Span
from imagewright.dockerfile.lines import Line
from imagewright.dockerfile.raw import RawInstruction, read_instruction
from imagewright.errors import InvalidInput


def read(text: str, escape: str = "\\") -> RawInstruction:
    return read_instruction(Line(Span(1, 1), text, text), escape)


@pytest.mark.parametrize(
    ("text", "keyword", "flags", "arguments", "json"),
    [
        ("", "", (), (), False),
        ("foo  --a b", "FOO", ("--a",), (), False),
        ("RUN", "RUN", (), (), False),
        ("run --a b c", "RUN", ("--a",), ("b c",), False),
        ('RUN ["a", "b"]', "RUN", (), ("a", "b"), True),
        ('COPY ["a", "b"]', "COPY", (), ("a", "b"), True),
        ("COPY 'a b'", "COPY", (), ("'a", "b'"), False),
        ("ENV a=1 b=2", "ENV", (), ("a", "1", "b", "2"), False),
        ("ARG a='1 2' b", "ARG", (), ("a='1 2'", "b"), False),
        ("EXPOSE 1 2", "EXPOSE", (), ("1", "2"), False),
        ("USER a b", "USER", (), ("a b",), False),
        ("HEALTHCHECK --a NONE", "HEALTHCHECK", ("--a",), ("NONE",), False),
        ("HEALTHCHECK CMD a  b", "HEALTHCHECK", (), ("CMD", "a  b"), False),
        ('HEALTHCHECK CMD ["a", "b"]', "HEALTHCHECK", (), ("CMD", "a", "b"), True),
        ("ONBUILD run --a b", "ONBUILD", (), ("RUN", "b"), False),
        ('ONBUILD CMD ["a"]', "ONBUILD", (), ("CMD", "a"), True),
        ("ONBUILD onbuild ENV a", "ONBUILD", (), ("ONBUILD",), False),
        ("ONBUILD foo bar", "ONBUILD", (), ("FOO",), False),
        ("ADD a\udcff b", "ADD", (), ("a\udcff", "b"), False),
        ("USER a\udcff", "USER", (), ("a\ufffd",), False),
    ],
)
def test_parts(text: str, keyword: str, flags: tuple[str, ...], arguments: tuple[str, ...], json: bool) -> None:
    raw = read(text)

    assert (raw.keyword, raw.flags, raw.arguments, raw.json) == (keyword, flags, arguments, json)


def test_nested_triggers_take_no_stack() -> None:
    assert read("ONBUILD " * 100_000).arguments == ("ONBUILD",)


def test_triggers_are_split_too() -> None:
    with pytest.raises(InvalidInput, match=r"^ENV must have two arguments$"):
        read("ONBUILD ENV a")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("RUN a <<A <<B", ["A", "B"]),
        ("COPY <<A /", ["A"]),
        ("ADD <<A /", ["A"]),
        ("ONBUILD RUN <<A", ["A"]),
        ("ONBUILD CMD <<A", []),
        ("CMD <<A", []),
        ('RUN ["<<A"]', []),
        ("RUN a", []),
    ],
)
def test_documents(text: str, names: list[str]) -> None:
    def document(marker: Marker) -> Heredoc:
        return Heredoc(marker.name, "")

    assert [each.name for each in read(text).with_documents(document).documents] == names
