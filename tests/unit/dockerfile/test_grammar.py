from dataclasses import replace

import pytest

from imagewright.dockerfile.grammar import to_instruction
from imagewright.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Span,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from imagewright.dockerfile.lines import Line
from imagewright.dockerfile.parser import parse_instruction
from imagewright.dockerfile.raw import read_instruction
from imagewright.errors import InvalidInput


def read(text: str, *documents: Heredoc) -> Instruction:
    remaining = list(documents)
    raw = read_instruction(Line(Span(), text, ""), "\\").with_documents(lambda _: remaining.pop(0))
    return to_instruction(raw, Span())


# All that dockerd 20.10.24 refuses is in tests/golden/dockerfile/errors.jsonl, which test_parser.py reads.
@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("FROM a", From("a")),
        ("FROM --platform=x a as B.c-d_1", From("a", "x", "b.c-d_1")),
        ("RUN", Run(Command(()))),
        ("RUN []", Run(Command((), shell=False))),
        ("RUN -- --x", Run(Command(("--x",)))),
        (
            "RUN --mount=a --mount=b --network=host --security=insecure c",
            Run(Command(("c",)), ("a", "b"), "host", "insecure"),
        ),
        ("CMD a  b", Cmd(Command(("a  b",)))),
        ('CMD ["a"] b', Cmd(Command(("a",), shell=False))),
        ("ENTRYPOINT", Entrypoint(Command(()))),
        ('ENTRYPOINT [""]', Entrypoint(Command(("",), shell=False))),
        ("LABEL a=b c=", Label((("a", "b"), ("c", "")))),
        ("ENV a =b", Env((("a", "=b"),))),
        ("ARG --a b= c==", Arg((("b", ""), ("c", "=")))),
        ("MAINTAINER a b", Maintainer("a b")),
        ("EXPOSE 9 80/tcp", Expose(("80/tcp", "9"))),
        ("VOLUME a b", Volume(("a", "b"))),
        ('VOLUME [" a ", "b c"]', Volume(("a", "b c"))),
        ("USER a", User("a")),
        ("WORKDIR a b", Workdir("a b")),
        ("STOPSIGNAL --x 9", StopSignal("9")),
        ('SHELL ["a", "b"]', Shell(("a", "b"))),
        ("HEALTHCHECK --anything none", Healthcheck(None)),
        ("HEALTHCHECK cmd a", Healthcheck(Command(("a",)))),
        ('HEALTHCHECK --retries=+2 CMD ["a"]', Healthcheck(Command(("a",), shell=False), retries=2)),
        ("HEALTHCHECK --retries= --interval= CMD a", Healthcheck(Command(("a",)))),
        ("HEALTHCHECK --retries=0002147483647 CMD a", Healthcheck(Command(("a",)), retries=2**31 - 1)),
        ("ONBUILD\vRUN  a ", OnBuild("RUN  a ")),
        ("ONBUILD -- RUN a", OnBuild("-- RUN a")),
        ("ONBUILD foo", OnBuild("foo")),
        ("COPY a b", Copy(("a",), "b")),
        ("COPY --link --parents=false a b", Copy(("a",), "b", link=True)),
        ('COPY "x <<A y" b', Copy(('"x', "<<A", 'y"'), "b")),
        ("ADD a b c", Add(("a", "b"), "c")),
        ("ADD --unpack --link=true --exclude=x a b", Add(("a",), "b", link=True, exclude=("x",), unpack=True)),
    ],
)
def test_instructions(text: str, instruction: Instruction) -> None:
    assert read(text) == replace(instruction, text=text.strip())


@pytest.mark.parametrize(
    ("text", "documents", "command"),
    [
        ("RUN <<A", [Heredoc("A", "x\n")], Command(("x\n",))),
        ("RUN <<-A", [Heredoc("A", "\tx\n", chomp=True)], Command(("x\n",))),
        ("RUN a <<-A", [Heredoc("A", "\tx\n", chomp=True)], Command(("a <<-A\n\tx\nA",))),
        ("RUN <<A <<B", [Heredoc("A", "x\n"), Heredoc("B", "")], Command(("<<A <<B\nx\nA\nB",))),
        ("RUN <<A", [Heredoc("A", "\udcff")], Command(("\ufffd",))),
        ("RUN a <<A", [Heredoc("A", "\udcff\n")], Command(("a <<A\n\ufffd\nA",))),
        (
            "RUN <<-A",
            [Heredoc("A", "\t#!a\udcff\n", chomp=True)],
            Command(("/dev/pipes/A",), documents=(Heredoc("A", "#!a\udcff\n", chomp=True),)),
        ),
    ],
)
def test_scripts(text: str, documents: list[Heredoc], command: Command) -> None:
    assert read(text, *documents) == Run(command, text=text)


def test_documents_among_sources() -> None:
    found = read("COPY a <<-A b <<'C' <<'' d", Heredoc("A", "\tx\n", chomp=True), Heredoc("C", "y\n", expand=False))

    assert isinstance(found, Copy)
    assert found.sources == ("a", "b", "<<''")
    assert found.documents == (Heredoc("A", "x\n", chomp=True), Heredoc("C", "y\n", expand=False))


def test_a_document_in_quotes_with_spaces_is_no_source() -> None:
    found = read('COPY <<"a b" /', Heredoc("a b", "x"))

    assert isinstance(found, Copy)
    assert found.sources == ('<<"a', 'b"')
    assert found.documents == ()


def test_documents_follow_a_trigger() -> None:
    found = read("ONBUILD RUN <<A <<-'B'", Heredoc("A", "x\n"), Heredoc("B", "\ty\n", chomp=True))

    assert isinstance(found, OnBuild)
    assert found.trigger == "RUN <<A <<-'B'\nx\nA\n\ty\nB"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HEALTHCHECK --start-interval=1us CMD a", 'Interval "start-interval" cannot be less than 1ms'),
        ("HEALTHCHECK --retries=-2147483648 CMD a", "--retries must be at least 1 (not -2147483648)"),
        (
            "HEALTHCHECK --retries=-2147483649 CMD a",
            'strconv.ParseInt: parsing "-2147483649": value out of range',
        ),
        (
            f"HEALTHCHECK --retries={'9' * 5000} CMD a",
            f'strconv.ParseInt: parsing "{"9" * 5000}": value out of range',
        ),
        ("HEALTHCHECK --retries=\u0661 CMD a", 'strconv.ParseInt: parsing "\u0661": invalid syntax'),
    ],
)
def test_refused_beyond_the_recorded(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read(text)

    assert str(caught.value) == message


def test_documents_are_found_by_their_names() -> None:
    copy = parse_instruction('COPY <<"a b" <<c <<d <<c /x/\n1\na b\n2\nc\n3\nd\n4\nc\n')
    assert isinstance(copy, Copy)
    assert copy.sources == ('<<"a', 'b"')
    assert [(document.name, document.content) for document in copy.documents] == [
        ("c", "2\n"),
        ("d", "3\n"),
        ("c", "4\n"),
    ]
