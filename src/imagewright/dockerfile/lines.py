r"""Physical lines become logical lines: directives, comments, continuations, here-documents.

https://docs.docker.com/reference/dockerfile/#format and .../#parser-directives. Where the reference is silent, this
follows the classic engine: white space before an instruction or a comment is dropped; a comment may stand between the
parts of a continued line, and so may an empty line, with a warning; of two escape characters at the end of a line the
second one continues nothing.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from imagewright.dockerfile.characters import SPACES, printable
from imagewright.dockerfile.instructions import Span
from imagewright.errors import InvalidInput

__all__ = ["Line", "Lines"]

_DIRECTIVE = re.compile(r"#[\t\n\f\r ]*([a-zA-Z][a-zA-Z0-9]*)[\t\n\f\r ]*=")
# The engine's limit, in bytes; here-documents have it too.
_LONGEST_LINE = (64 << 10) - 1
_LONGEST_CONTINUED = 1 << 20
# What is shown of a line; a line may have megabytes.
_LONGEST_SOURCE = 1024
_DIRECTIVES = frozenset({"check", "escape", "syntax"})

# The texts are the classic engine's, which prints them in red before the first step.
_EMPTY_CONTINUATION = "[WARNING]: Empty continuation line found in:\n    "
_EMPTY_CONTINUATIONS = "[WARNING]: Empty continuation lines will become errors in a future release."


@dataclass(frozen=True, slots=True)
class Line:
    """A logical line; `source` is its first physical line, `span` does not count here-documents that follow."""

    span: Span
    content: str
    source: str


class Lines:
    """The logical lines of a text, in one pass; iterate once.

    Between two steps of the iteration, `document` takes the physical lines that come next. `directives` and `escape`
    are final from the first logical line on. `start` is the number of the current logical line's first physical line,
    counted from 1, and 0 at the end. Iterating raises InvalidInput for a directive that is wrong, and for a line that
    is too long, which `start` names.
    """

    def __init__(self, text: str, *, escape: str = "\\", directives: bool = True) -> None:
        self.escape = escape
        self.directives: dict[str, str] = {}
        self.start = 0
        self._physical = text.split("\n")
        if not self._physical[-1]:
            self._physical.pop()
        self._taken = 0
        self._directives_may_come = directives
        self._warnings: list[str] = []

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings so far, the last of them a general one."""
        return (*self._warnings, _EMPTY_CONTINUATIONS) if self._warnings else ()

    @property
    def end(self) -> int:
        """The number of the physical line that was taken last."""
        return self._taken

    @property
    def source(self) -> str:
        """The physical line that `start` names, for messages: not all of one that is very long."""
        return printable(self._physical[self.start - 1][:_LONGEST_SOURCE].removesuffix("\r")) if self.start else ""

    def __iter__(self) -> Iterator[Line]:
        while self._taken < len(self._physical):
            self.start = self._taken + 1
            content = self._take().lstrip(SPACES)
            if self._directives_may_come:
                self._read_directive(content)
            if content.startswith("#"):
                continue
            content, continued = self._cut_continuation(content)
            if continued:
                content = self._join(content)
            elif not content:
                continue
            yield Line(Span(self.start, self._taken), content, self.source)
        self.start = 0

    def document(self, terminator: str, *, chomp: bool) -> str:
        """Take the lines up to `terminator`, before which tabs may stand if `chomp` is true, and return them unchanged.

        Raises InvalidInput if there is no such line, and for one that is too long.
        """
        begin = self._taken
        while self._taken < len(self._physical):
            line = self._take().rstrip("\r")
            if (line.lstrip("\t") if chomp else line) == terminator:
                return "".join(f"{each}\n" for each in self._physical[begin : self._taken - 1])
        raise InvalidInput("unterminated heredoc")

    def _take(self) -> str:
        line = self._physical[self._taken]
        self._taken += 1
        # No character has more than four bytes.
        if len(line) > _LONGEST_LINE // 4 and len(line.encode("utf-8", "surrogateescape")) > _LONGEST_LINE:
            raise InvalidInput(f"dockerfile line greater than max allowed size of {_LONGEST_LINE}")
        return line.removesuffix("\r")

    def _join(self, first: str) -> str:
        parts = [first]
        gap = False
        continued = True
        while continued and self._taken < len(self._physical):
            part = self._take()
            bare = part.lstrip(SPACES)
            if bare.startswith("#"):
                continue
            if not bare:
                gap = True
                continue
            part, continued = self._cut_continuation(part)
            parts.append(part)
        content = "".join(parts)
        if len(content) > _LONGEST_CONTINUED:
            raise InvalidInput(f"line {self.start} is continued to more than {_LONGEST_CONTINUED} characters")
        if gap:
            self._warnings.append(_EMPTY_CONTINUATION + printable(content))
        return content

    def _cut_continuation(self, line: str) -> tuple[str, bool]:
        stripped = line.rstrip(" \t")
        if stripped.endswith(self.escape) and stripped[-2:-1] != self.escape:
            return stripped[:-1], True
        return line, False

    def _read_directive(self, line: str) -> None:
        match = _DIRECTIVE.match(line)
        name = match[1].lower() if match else ""
        value = line[match.end() :].strip("\t\n\f\r ") if match else ""
        if name not in _DIRECTIVES or not value:
            self._directives_may_come = False
            return
        if name in self.directives:
            raise InvalidInput(f"only one {name} parser directive can be used")
        self.directives[name] = printable(value)
        if name == "escape":
            if value not in {"\\", "`"}:
                raise InvalidInput(f"invalid escape token '{printable(value)}' does not match ` or \\")
            self.escape = value
