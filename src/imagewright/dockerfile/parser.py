"""A Dockerfile as bytes becomes stages of typed instructions."""

from collections.abc import Iterator, Sequence

from imagewright.dockerfile.grammar import to_instruction
from imagewright.dockerfile.heredocs import Marker
from imagewright.dockerfile.instructions import Arg, Dockerfile, From, Heredoc, Instruction, Span, Stage
from imagewright.dockerfile.lines import Lines
from imagewright.dockerfile.raw import RawInstruction, read_instruction
from imagewright.errors import DockerfileError, InvalidInput

__all__ = ["LARGEST_DOCKERFILE", "MOST_INSTRUCTIONS", "parse", "parse_changes", "parse_instruction"]

#: The most bytes that whoever reads a Dockerfile takes, unless told otherwise; for `parse` any size will do.
LARGEST_DOCKERFILE = 4 << 20
#: The most instructions that a Dockerfile may have: each is an image of its own, which is written to the disk.
MOST_INSTRUCTIONS = 10_000

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CHANGES = frozenset(
    {"CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "USER", "VOLUME", "WORKDIR"}
)


def parse(data: bytes, *, name: str = "Dockerfile") -> Dockerfile:
    """Read a whole Dockerfile; `name` is what messages call it.

    Raises DockerfileError, and nothing else, with the classic engine's message. Like there, every line is split before
    the first one is understood, so a bad ENV at the end is reported before an unknown instruction at the beginning.
    """
    if not data:
        raise DockerfileError(f"the Dockerfile ({name}) cannot be empty", path=name)
    lines = Lines(data.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "surrogateescape"))
    try:
        found = _read_all(lines)
    except InvalidInput as error:
        message = f"failed to parse Dockerfile: {error}"
        raise DockerfileError(message, line=lines.start, source=lines.source, path=name) from error
    meta_args: list[Arg] = []
    bases: list[From] = []
    bodies: list[list[Instruction]] = []
    for raw, span in found:
        try:
            instruction = to_instruction(raw, span)
        except InvalidInput as error:
            message = f"dockerfile parse error line {span.start}: {error}"
            raise DockerfileError(message, line=span.start, source=raw.line.source, path=name) from error
        if isinstance(instruction, From):
            bases.append(instruction)
            bodies.append([])
        elif bodies:
            bodies[-1].append(instruction)
        elif isinstance(instruction, Arg):
            meta_args.append(instruction)
        else:
            message = "no build stage in current context"
            raise DockerfileError(message, line=span.start, source=raw.line.source, path=name)
    if not bases:
        raise DockerfileError("dockerfile contains no stages to build", path=name)
    return Dockerfile(
        tuple(Stage(index, base, tuple(bodies[index])) for index, base in enumerate(bases)),
        tuple(meta_args),
        lines.escape,
        lines.warnings,
        lines.directives,
    )


def parse_instruction(text: str, *, escape: str = "\\") -> Instruction:
    """Read one instruction, as the trigger of an ONBUILD is one; here-documents may follow its line.

    Raises DockerfileError with the classic engine's message, without a line.
    """
    try:
        return _read_one(Lines(text, escape=escape, directives=False))
    except InvalidInput as error:
        raise DockerfileError(str(error)) from error


def parse_changes(changes: Sequence[str]) -> tuple[Instruction, ...]:
    """Read what import and commit take as changes to a configuration.

    Raises DockerfileError, with the classic engine's message and without a line.
    """
    try:
        return _read_changes(Lines("\n".join(changes), directives=False)) if changes else ()
    except InvalidInput as error:
        raise DockerfileError(str(error)) from error


def _read_one(lines: Lines) -> Instruction:
    found = _read_all(lines)
    if len(found) > 1:
        raise InvalidInput("onbuild trigger should be a single expression")
    return to_instruction(found[0][0], Span())


def _read_changes(lines: Lines) -> tuple[Instruction, ...]:
    found = _read_all(lines)
    for raw, _ in found:
        if raw.keyword not in _CHANGES:
            raise InvalidInput(f"{raw.keyword.lower()} is not a valid change command")
    return tuple(to_instruction(raw, Span()) for raw, _ in found)


def _read_all(lines: Lines) -> list[tuple[RawInstruction, Span]]:
    found = list(_read(lines))
    if not found:
        raise InvalidInput("file with no instructions")
    return found


def _read(lines: Lines) -> Iterator[tuple[RawInstruction, Span]]:
    def document(marker: Marker) -> Heredoc:
        content = lines.document(marker.name, chomp=marker.chomp)
        return Heredoc(marker.name, content, expand=not marker.literal, chomp=marker.chomp)

    for number, line in enumerate(lines, 1):
        if number > MOST_INSTRUCTIONS:
            raise InvalidInput(f"line {line.span.start}: there are more than {MOST_INSTRUCTIONS} instructions")
        raw = read_instruction(line, lines.escape).with_documents(document)
        yield raw, Span(line.span.start, lines.end)
