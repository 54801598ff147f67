"""Whatever the bytes: a Dockerfile, or a DockerfileError that says where."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from imagewright.dockerfile import (
    Copy,
    Dockerfile,
    Env,
    Instruction,
    Run,
    Span,
    expand,
    grammar,
    parse,
    parse_changes,
    parse_instruction,
)
from imagewright.errors import DockerfileError

KEYWORDS = tuple(grammar._BUILDERS)
PIECES = (
    *KEYWORDS,
    *("onbuild", "from", "AS", "NONE", "FOO"),
    *" \t\n\r\\`'\"$#=,[]{}:-<>\x00\x0b\x1c\xa0\u2003\ufeff\udcff",
    *("\n", " ", "\n", " ", "\nRUN ", "\nCOPY ", "\nENV ", "FROM a\n"),
    *("--", "--from=", "--mount=", "--interval=1s", "--link", "--x"),
    *("<<", "<<-", "<<E", "<<'E'", "\nE\n", "\\\n", "\\\r\n", "# escape=`\n", "# syntax=a\n", "\n\n", "((", "))"),
    *('["a", "b"]', "[1]", "a", "b=c", "${", "}", "1"),
)

texts = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
files = st.one_of(
    st.binary(max_size=200),
    texts.map(lambda text: text.encode("utf-8", "surrogateescape")),
    texts.map(lambda text: ("FROM a\n" + text).encode("utf-8", "surrogateescape")),
)
words = st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), min_size=1, max_size=20)


def instructions(dockerfile: Dockerfile) -> list[Instruction]:
    found: list[Instruction] = [*dockerfile.meta_args]
    for stage in dockerfile.stages:
        found += (stage.base, *stage.instructions)
    return found


def quoted(text: str) -> str:
    return '"' + "".join(f"\\{each}" if each in '"\\$' else each for each in text) + '"'


def attempt(data: bytes) -> Dockerfile | DockerfileError:
    try:
        return parse(data)
    except DockerfileError as error:
        return error


@given(files)
def test_any_bytes_are_a_dockerfile_or_an_error_with_a_place(data: bytes) -> None:
    count = len(data.split(b"\n"))
    result = attempt(data)

    if isinstance(result, DockerfileError):
        str(result).encode()
        result.source.encode()
        assert 0 <= result.line <= count
        return
    assert result.stages
    end = 0
    for instruction in instructions(result):
        instruction.text.encode()
        instruction.source.encode()
        assert end < instruction.span.start <= instruction.span.end <= count
        assert instruction.text.upper().startswith(instruction.keyword)
        end = instruction.span.end


@given(texts)
def test_any_text_is_an_instruction_or_an_error(text: str) -> None:
    with suppress(DockerfileError):
        instruction = parse_instruction(text)
        assert instruction.span == Span()


@given(st.lists(texts, max_size=3))
def test_any_texts_are_changes_or_an_error(changes: list[str]) -> None:
    with suppress(DockerfileError):
        parse_changes(changes)


@given(files)
def test_only_here_documents_keep_line_ends(data: bytes) -> None:
    data = data.replace(b"\r", b"")
    result = attempt(data)
    other = attempt(data.replace(b"\n", b"\r\n"))

    if isinstance(result, DockerfileError) or isinstance(other, DockerfileError):
        assert isinstance(other, DockerfileError)
        assert isinstance(result, DockerfileError)
        assert (str(result), result.line, result.source) == (str(other), other.line, other.source)
        return
    for one, two in zip(instructions(result), instructions(other), strict=True):
        assert (one.span, one.text, one.source) == (two.span, two.text, two.source)
        if b"<<" not in data:
            assert one == two


@given(st.lists(st.tuples(words.filter(lambda name: "=" not in name), words), min_size=1, max_size=5))
def test_quoted_pairs_come_back(pairs: list[tuple[str, str]]) -> None:
    line = " ".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)
    instruction = parse_instruction(f"ENV {line}")

    assert isinstance(instruction, Env)
    assert [(expand(name, {}), expand(value, {})) for name, value in instruction.pairs] == pairs


@given(st.lists(st.text("ab \t\\$'\"<E\n", max_size=10).filter(lambda line: "\n" not in line), max_size=5))
def test_documents_come_back(lines: list[str]) -> None:
    content = "".join(f"{line}\n" for line in lines if line != "E")
    copy = parse_instruction(f"COPY <<'E' /x\n{content}E")
    run = parse_instruction(f"RUN cat <<E\n{content}E")

    assert isinstance(copy, Copy)
    assert isinstance(run, Run)
    assert copy.documents[0].content == content
    assert run.command.argv == (f"cat <<E\n{content}E",)
