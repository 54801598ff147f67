"""What the golden files are worth: nothing is refused, and no instruction or flag is known, that they have not."""

import ast
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import imagewright.dockerfile
from imagewright.dockerfile import (
    Add,
    Copy,
    From,
    Healthcheck,
    Instruction,
    Run,
    check_mount,
    expand,
    parse,
    parse_mount,
)
from imagewright.errors import ImagewrightError

GOLDEN = Path(__file__).parents[2] / "golden" / "dockerfile"
SOURCES = sorted(Path(imagewright.dockerfile.__file__).parent.glob("*.py"))
# What is refused for its size has tests that make it; changes of an import or a commit are no Dockerfile.
ELSEWHERE = (
    "the result is too large",
    "there are more than {MOST_INSTRUCTIONS} instructions",
    "has more than {_M",
    "is continued to more than",
    "dockerfile line greater than max allowed size",
    "substitutions are nested too deeply",
    "the pattern of a substitution is too long for its value",
    "onbuild trigger should be a single expression",
    "is not a valid change command",
    "raise DockerfileError(str(error)) from error",
    "raise ValueError(text)",  # what JSON is not, which is then a shell's command
)


def lines(name: str) -> Iterator[list[Any]]:
    yield from map(json.loads, (GOLDEN / name).read_text().splitlines())


def read_all() -> None:
    for name in ("errors.jsonl", "errors-new.jsonl"):
        for _, text, _ in lines(name):
            with contextlib.suppress(ImagewrightError):
                parse(text.encode("utf-8", "surrogateescape"))
    for name in ("expansions.jsonl", "expansions-new.jsonl"):
        for word, escape, _, _ in lines(name):
            with contextlib.suppress(ImagewrightError):
                expand(word, {"V": "val", "W": "a/b/c", "E": ""}, escape=escape)
    for text, _ in lines("mounts.jsonl"):
        with contextlib.suppress(ImagewrightError):
            check_mount(text)
            parse_mount(text, str)


def executed(work: Callable[[], None]) -> set[tuple[str, int]]:
    """Return the lines of the parser that `work` comes by."""
    found: set[tuple[str, int]] = set()
    files = set(map(str, SOURCES))

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if event == "line":
            found.add((frame.f_code.co_filename, frame.f_lineno))
        return trace if frame.f_code.co_filename in files else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return found


def test_every_refusal_of_the_parser_is_there() -> None:
    found = executed(read_all)
    refusals = {
        (str(path), node.lineno): text
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise) and node.exc
        for text in [ast.get_source_segment(path.read_text(), node) or ""]
    }
    missing = {place: text for place, text in refusals.items() if place not in found}
    assert not [f"{place}: {text}" for place, text in missing.items() if not any(part in text for part in ELSEWHERE)]
    assert len(refusals) > 50


def test_every_instruction_and_every_flag_is_there() -> None:
    instructions: list[Instruction] = []
    for path in (GOLDEN / "valid").glob("*.dockerfile"):
        dockerfile = parse(path.read_bytes())
        instructions += dockerfile.meta_args
        for stage in dockerfile.stages:
            instructions += (stage.base, *stage.instructions)
    known = {kind.keyword for kind in Instruction.__subclasses__()}
    assert known - {instruction.keyword for instruction in instructions} == set()
    said = {
        f"{type(instruction).__name__}.{field.name}"
        for instruction in instructions
        for field in dataclasses.fields(instruction)
        if isinstance(instruction, From | Run | Copy | Add | Healthcheck)
        and getattr(instruction, field.name) != field.default
    }
    flags = {
        f"{kind.__name__}.{field.name}"
        for kind in (From, Run, Copy, Add, Healthcheck)
        for field in dataclasses.fields(kind)
    }
    assert flags - said == set()
