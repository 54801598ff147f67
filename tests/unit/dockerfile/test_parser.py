import json
import re
from contextlib import suppress
from dataclasses import MISSING, fields
from pathlib import Path
from time import process_time

import pytest

from imagewright.dockerfile import (
    MOST_INSTRUCTIONS,
    Arg,
    Cmd,
    Command,
    Copy,
    Dockerfile,
    Env,
    Heredoc,
    Instruction,
    Label,
    Run,
    Span,
    User,
    parse,
    parse_changes,
    parse_instruction,
)
from imagewright.errors import DockerfileError

GOLDEN = Path(__file__).parents[2] / "golden" / "dockerfile"
VALID = sorted(path.stem for path in (GOLDEN / "valid").glob("*.dockerfile"))

# Each line of these files is what dockerd 20.10.24 said; tests/compat asks it again.
ERRORS = [json.loads(line) for line in (GOLDEN / "errors.jsonl").read_text().splitlines()]
# What the classic engine knows nothing of: in BuildKit's words where it has some.
NEWER_ERRORS = [json.loads(line) for line in (GOLDEN / "errors-new.jsonl").read_text().splitlines()]
STEPS = [json.loads(line) for line in (GOLDEN / "steps.jsonl").read_text().splitlines()]


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def instructions(dockerfile: Dockerfile) -> list[Instruction]:
    found: list[Instruction] = [*dockerfile.meta_args]
    for stage in dockerfile.stages:
        found += (stage.base, *stage.instructions)
    return found


def dump(dockerfile: Dockerfile) -> str:
    lines = [f"escape {dockerfile.escape}"]
    lines += (f"directive {name} = {value}" for name, value in dockerfile.directives.items())
    lines += (f"warning {warning!r}" for warning in dockerfile.warnings)
    for instruction in instructions(dockerfile):
        lines.append("")
        lines.append(f"{instruction.span.start}-{instruction.span.end} {instruction.text!a}")
        if instruction.source != instruction.text:
            lines.append(f"  source {instruction.source!a}")
        lines.append(f"  {type(instruction).__name__}")
        for field in fields(instruction):
            value = getattr(instruction, field.name)
            if field.name not in {"span", "text", "source"} and (field.default is MISSING or value != field.default):
                lines.append(f"    {field.name} = {value!a}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("name", VALID)
def test_valid_files_read_as_recorded(name: str) -> None:
    found = dump(parse((GOLDEN / "valid" / f"{name}.dockerfile").read_bytes()))

    assert found == (GOLDEN / "valid" / f"{name}.txt").read_text()


@pytest.mark.parametrize(("line", "text", "message"), ERRORS + NEWER_ERRORS)
def test_errors_are_those_of_the_engine(line: int, text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(encode(text))

    assert str(caught.value) == message
    assert caught.value.line == line
    assert caught.value.path == "Dockerfile"
    source = encode(text).removeprefix(b"\xef\xbb\xbf").split(b"\n")[line - 1].removesuffix(b"\r") if line else b""
    assert caught.value.source == source.decode("utf-8", "replace")


@pytest.mark.parametrize(("text", "steps", "warning"), STEPS)
def test_steps_and_warnings_read_like_those_of_the_engine(text: str, steps: list[str], warning: str) -> None:
    dockerfile = parse(encode(text))

    texts = [instruction.text for instruction in instructions(dockerfile)]
    assert texts[: len(steps)] == steps
    warnings = "\x1b[91m" + "\n".join(dockerfile.warnings) + "\n\x1b[0m" if dockerfile.warnings else ""
    assert warnings == warning


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (2, "FROM a\nRUN --network=foo a", 'dockerfile parse error line 2: invalid network mode "foo"'),
        (2, "FROM a\nRUN --security=foo a", 'dockerfile parse error line 2: security "foo" is not valid'),
        (3, "FROM a\n\nRUN <<E\n\n\n", "failed to parse Dockerfile: unterminated heredoc"),
        (2, "FROM a\nCOPY a <<E\nE", "dockerfile parse error line 2: COPY cannot accept a heredoc as a destination"),
        (2, "FROM a\nADD << E\nE", "dockerfile parse error line 2: ADD cannot accept a heredoc as a destination"),
        (2, "FROM a\nCOPY <<a/b /\na/b", 'dockerfile parse error line 2: COPY cannot accept a heredoc named "a/b"'),
        (2, "FROM a\nADD <<.. /\n..", 'dockerfile parse error line 2: ADD cannot accept a heredoc named ".."'),
        (
            2,
            "FROM a\nRUN <<../a\n#!/bin/sh\n../a",
            'dockerfile parse error line 2: RUN cannot accept a heredoc named "../a"',
        ),
        (0, "ARG a", "dockerfile contains no stages to build"),
        (0, "\ufeff", "failed to parse Dockerfile: file with no instructions"),
    ],
)
def test_errors_of_newer_forms(line: int, text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse(encode(text))

    assert (str(caught.value), caught.value.line) == (message, line)


def test_the_name_of_the_file_is_in_messages_and_errors() -> None:
    with pytest.raises(DockerfileError, match=r"^the Dockerfile \(sub/D\) cannot be empty$") as caught:
        parse(b"", name="sub/D")

    assert caught.value.path == "sub/D"


def test_stages_know_their_names_and_instructions() -> None:
    dockerfile = parse(b"ARG A\nFROM a AS One\nARG B\nFROM b\nFROM One\nUSER x\nCMD y\n")

    assert [stage.name for stage in dockerfile.stages] == ["one", "", ""]
    assert [stage.index for stage in dockerfile.stages] == [0, 1, 2]
    assert [len(stage.instructions) for stage in dockerfile.stages] == [1, 0, 2]
    assert [arg.pairs for arg in dockerfile.meta_args] == [(("A", None),)]


def test_keywords_are_compared_as_the_engine_does() -> None:
    with pytest.raises(DockerfileError, match="unknown instruction: onbu\u0131ld"):
        parse("FROM a\nONBU\u0131LD RUN a".encode())


@pytest.mark.parametrize(
    ("text", "instruction"),
    [
        ("RUN make", Run(Command(("make",)), text="RUN make", source="RUN make")),
        ("  user  a b ", User("a b", text="user  a b", source="  user  a b ")),
        ("ENV a b c", Env((("a", "b c"),), text="ENV a b c", source="ENV a b c")),
        ("RUN cat <<E\nx\nE", Run(Command(("cat <<E\nx\nE",)), text="RUN cat <<E", source="RUN cat <<E")),
        (
            "COPY <<E /\nx\nE\n",
            Copy((), "/", documents=(Heredoc("E", "x\n"),), text="COPY <<E /", source="COPY <<E /"),
        ),
    ],
)
def test_one_instruction_has_no_line(text: str, instruction: Instruction) -> None:
    found = parse_instruction(text)

    assert found == instruction
    assert found.span == Span(0, 0)


def test_one_instruction_takes_the_escape_character_of_its_file() -> None:
    assert parse_instruction("ENV a=b` c=d", escape="`") == Env(
        (("a", "b` c=d"),), text="ENV a=b` c=d", source="ENV a=b` c=d"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FOO a", "unknown instruction: FOO"),
        ("RUN --foo a", "Unknown flag: foo"),
        ("ENV", "ENV requires at least one argument"),
        ("ENV a", "ENV must have two arguments"),
        ("", "file with no instructions"),
        ("# escape=`", "file with no instructions"),
        ("RUN a\nRUN b", "onbuild trigger should be a single expression"),
    ],
)
def test_errors_of_one_instruction_are_bare(text: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_instruction(text)

    assert (str(caught.value), caught.value.line) == (message, 0)


def test_changes_may_hold_several_lines() -> None:
    found = parse_changes(["ENV a=1\nCMD x", "label b=2 \\", " c=3"])

    assert [type(change) for change in found] == [Env, Cmd, Label]
    assert parse_changes([]) == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["FOO a"], "foo is not a valid change command"),
        (["env a=1", "RUN x"], "run is not a valid change command"),
        (["STOPSIGNAL 9"], "stopsignal is not a valid change command"),
        (["ENV a"], "ENV must have two arguments"),
        (["EXPOSE"], "EXPOSE requires at least one argument"),
        (["ONBUILD FROM a"], "FROM isn't allowed as an ONBUILD trigger"),
        (["# c"], "file with no instructions"),
    ],
)
def test_changes_that_are_refused(changes: list[str], message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_changes(changes)

    assert str(caught.value) == message


def test_the_most_instructions_that_there_may_be() -> None:
    most = b"FROM a\n" + b"USER b\n\n" * (MOST_INSTRUCTIONS - 1)
    assert len(parse(most).stages[0].instructions) == MOST_INSTRUCTIONS - 1

    with pytest.raises(DockerfileError) as caught:
        parse(most + b"RUN c\n")

    assert str(caught.value) == "failed to parse Dockerfile: line 20000: there are more than 10000 instructions"
    assert (caught.value.line, caught.value.source) == (20_000, "RUN c")


@pytest.mark.parametrize(
    ("most", "message"),
    [
        (b"RUN " + b"x" * 65_531, "dockerfile line greater than max allowed size of 65535"),
        (b"# " + b"x" * 65_533, "dockerfile line greater than max allowed size of 65535"),
        (
            b"RUN <<E\nE\nRUN " + "ä".encode() * 32_765 + b"x",
            "dockerfile line greater than max allowed size of 65535",
        ),
        (b"RUN <<E\n" + b"x" * 65_535, "dockerfile line greater than max allowed size of 65535"),
        (
            b"RUN " + b"\\\n".join([b"x" * 4096] * 255) + b"x" * 4092,
            "line 2 is continued to more than 1048576 characters",
        ),
    ],
    ids=range(5),
)
def test_the_longest_line_that_there_may_be(most: bytes, message: str) -> None:
    end = b"\nE\n" if b"<<E\nx" in most else b"\n"
    parse(b"FROM a\n" + most + end)

    with pytest.raises(DockerfileError, match=f"^failed to parse Dockerfile: {message}$"):
        parse(b"FROM a\n" + most + b"x" + end)


def test_not_all_of_a_long_line_is_shown() -> None:
    assert parse(b"FROM a\nRUN " + b"x" * 5000).stages[0].instructions[0].source == "RUN " + "x" * 1020


def test_args_before_the_first_stage_are_not_in_it() -> None:
    dockerfile = parse(b"ARG a=1 b\nARG c\nFROM x\nARG a\n")

    assert [arg.pairs for arg in dockerfile.meta_args] == [(("a", "1"), ("b", None)), (("c", None),)]
    assert isinstance(dockerfile.stages[0].instructions[0], Arg)


@pytest.mark.parametrize(
    "data",
    [
        b"FROM a\n" + b"RUN echo\n" * 5_000,
        b"FROM a\n" + b"COPY <<E /\nE\n" * 5_000,
        b"FROM a\nRUN " + b"a " * 500_000,
        b"FROM a\nENV a=" + b'"\\"\' ' * 50_000,
        b"FROM a\nRUN " + b"--mount=a " * 30_000 + b"b",
        b"FROM a\nRUN a" + b"\\\n" * 100_000,
        b"FROM a\nRUN " + b"<<a " * 50_000,
        b"FROM a\nRUN <<a " + b"((" * 50_000,
        b"# escape =" + b" " * 1_000_000 + b"x",
        b"FROM a\nCMD [" + b'"a",' * 50_000,
        b"FROM a\nHEALTHCHECK --interval=" + b"1s" * 100_000 + b" CMD a",
    ],
    ids=range(11),
)
def test_time_grows_with_the_size_alone(data: bytes) -> None:
    data = re.sub(rb"[^\n]{60000}(?!\n)", lambda piece: piece[0] + b"\\\n", data)
    begin = process_time()
    with suppress(DockerfileError):
        parse(data)

    assert process_time() - begin < 2  # a tenth of it is usual; what is quadratic takes minutes
