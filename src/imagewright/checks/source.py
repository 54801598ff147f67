"""What typed instructions no longer tell: how words were written, comments, empty lines."""

import re
from dataclasses import dataclass

from imagewright.dockerfile import Dockerfile, From, Instruction, Span

__all__ = ["Source", "alias_as_written", "keyword_as_written", "rest_as_written"]

_WORD = re.compile(r"\S+")
_DIRECTIVE = re.compile(r"#\s*(?:check|escape|syntax)\s*=\s*\S", re.IGNORECASE)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def keyword_as_written(instruction: Instruction) -> str:
    """Return the keyword in the case that it has in the file."""
    match = _WORD.match(instruction.text)
    return match[0] if match else ""


def rest_as_written(instruction: Instruction) -> str:
    """Return what follows the keyword."""
    return instruction.text[len(keyword_as_written(instruction)) :].strip()


def alias_as_written(instruction: From) -> tuple[str, str]:
    """Return `AS` and the name of the stage in the case that they have in the file, or two empty strings."""
    if not instruction.alias:
        return "", ""
    *_, keyword, alias = instruction.text.split()
    return keyword, alias


@dataclass(frozen=True, slots=True)
class Source:
    """The physical lines of a file."""

    lines: tuple[str, ...]
    escape: str
    directives: int

    @classmethod
    def read(cls, data: bytes, dockerfile: Dockerfile) -> "Source":
        """Return the lines of `data`, the file that `dockerfile` was read from."""
        text = data.removeprefix(_BYTE_ORDER_MARK).decode("utf-8", "replace")
        lines = tuple(line.removesuffix("\r") for line in text.split("\n"))
        directives = 0
        while directives < min(len(lines), len(dockerfile.directives)) and _DIRECTIVE.match(lines[directives].lstrip()):
            directives += 1
        return cls(lines, dockerfile.escape, directives)

    def line(self, number: int) -> str:
        """Return the line `number`, counted from 1, or an empty string."""
        return self.lines[number - 1] if 1 <= number <= len(self.lines) else ""

    def description(self, instruction: Instruction) -> str | None:
        """Return the text of the comment right above `instruction`, None where there is none.

        A comment without text is as good as an empty line.
        """
        number = instruction.span.start - 1
        line = self.line(number).strip()
        if number <= self.directives or not line.startswith("#"):
            return None
        return line[1:].strip() or None

    def empty_continuation(self, instruction: Instruction) -> Span | None:
        """Return the first empty line between the parts of `instruction`, None where there is none."""
        number = instruction.span.start
        continued = self._continues(self.line(number))
        while continued and number < len(self.lines):
            number += 1
            line = self.line(number).strip()
            if not line:
                # what stands behind the last line break is no line
                return Span(number, number) if number < len(self.lines) else None
            if not line.startswith("#"):
                continued = self._continues(self.line(number))
        return None

    def _continues(self, line: str) -> bool:
        stripped = line.rstrip(" \t")
        return stripped.endswith(self.escape) and stripped[-2:-1] != self.escape
