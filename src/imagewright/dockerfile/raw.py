"""Splits a logical line into a keyword, flags and arguments, before anything knows what they mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from imagewright.dockerfile.characters import SPACES, printable
from imagewright.dockerfile.heredocs import Marker, find_markers
from imagewright.dockerfile.instructions import Heredoc
from imagewright.dockerfile.lines import Line
from imagewright.dockerfile.words import split_blanks, split_flags, split_pairs, split_words, strings_of_json

__all__ = ["RawInstruction", "read_instruction"]

_WITH_DOCUMENTS = frozenset({"ADD", "COPY", "RUN"})
# These name files, whose names are bytes; everything else ends in JSON, which holds no undecodable bytes.
_WITH_PATHS = frozenset({"ADD", "COPY"})


@dataclass(frozen=True, slots=True)
class RawInstruction:
    """A logical line in parts.

    `keyword` is in upper case and may be unknown. `rest` is what follows keyword and flags, `arguments` are its parts,
    and `json` says that they stood in a JSON array. `documents` are the here-documents with their content unchanged.
    The arguments of ONBUILD are the keyword of the trigger and its arguments.
    """

    keyword: str
    flags: tuple[str, ...]
    rest: str
    arguments: tuple[str, ...]
    json: bool
    line: Line
    documents: tuple[Heredoc, ...] = ()

    def with_documents(self, read: Callable[[Marker], Heredoc]) -> "RawInstruction":
        """Return this instruction with the here-documents that it announces, which `read` gets in their order."""
        if "<<" not in self.rest or self.json:
            return self
        keyword, rest = self.keyword, self.rest
        if keyword == "ONBUILD":
            keyword, _, rest = _split_keyword(rest)
        if keyword not in _WITH_DOCUMENTS:
            return self
        return replace(self, documents=tuple(map(read, find_markers(rest))))


def read_instruction(line: Line, escape: str) -> RawInstruction:
    """Split `line`; raises InvalidInput where that cannot be done, never for an unknown keyword."""
    keyword, flags, rest = _split_keyword(line.content)
    if keyword not in _WITH_PATHS:
        rest = printable(rest)
    arguments, json = _split_arguments(keyword, rest, escape)
    return RawInstruction(keyword, flags, rest, arguments, json, line)


def _split_keyword(text: str) -> tuple[str, tuple[str, ...], str]:
    parts = split_blanks(text.strip(SPACES), 1)
    lower = printable(parts[0]).lower() if parts else ""
    upper = lower.upper()
    flags, rest = split_flags(parts[1]) if len(parts) > 1 else ((), "")
    # a dotless i has the upper case of another letter, and is not that letter
    return upper if upper.lower() == lower else lower, flags, rest


_Arguments = tuple[tuple[str, ...], bool]


def _split_arguments(keyword: str, rest: str, escape: str) -> _Arguments:
    split = _SPLITTERS.get(keyword)
    return split(keyword, rest, escape) if split and rest else ((), False)


def _whole(_keyword: str, rest: str, _escape: str) -> _Arguments:
    return (rest,), False


def _blanks(_keyword: str, rest: str, _escape: str) -> _Arguments:
    return tuple(split_blanks(rest)), False


def _words(_keyword: str, rest: str, escape: str) -> _Arguments:
    return tuple(split_words(rest, escape)), False


def _pairs(keyword: str, rest: str, escape: str) -> _Arguments:
    return split_pairs(keyword, rest, escape), False


def _json_or_whole(_keyword: str, rest: str, _escape: str) -> _Arguments:
    strings = strings_of_json(rest)
    return ((rest,), False) if strings is None else (strings, True)


def _json_or_blanks(_keyword: str, rest: str, _escape: str) -> _Arguments:
    strings = strings_of_json(rest)
    return (tuple(split_blanks(rest)), False) if strings is None else (strings, True)


def _healthcheck(keyword: str, rest: str, escape: str) -> _Arguments:
    kind, *command = split_blanks(rest, 1)
    arguments, json = _json_or_whole(keyword, command[0], escape) if command else ((), False)
    return (kind, *arguments), json


def _trigger(_keyword: str, rest: str, escape: str) -> _Arguments:
    keyword, _, inner = _split_keyword(rest)
    if keyword == "ONBUILD":  # is refused anyway; nested deeply, it would be a recursion
        return (keyword,), False
    arguments, json = _split_arguments(keyword, inner, escape)
    return (keyword, *arguments), json


_SPLITTERS: Mapping[str, Callable[[str, str, str], _Arguments]] = {
    "ADD": _json_or_blanks,
    "ARG": _words,
    "CMD": _json_or_whole,
    "COPY": _json_or_blanks,
    "ENTRYPOINT": _json_or_whole,
    "ENV": _pairs,
    "EXPOSE": _blanks,
    "FROM": _blanks,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _pairs,
    "MAINTAINER": _whole,
    "ONBUILD": _trigger,
    "RUN": _json_or_whole,
    "SHELL": _json_or_whole,
    "STOPSIGNAL": _whole,
    "USER": _whole,
    "VOLUME": _json_or_blanks,
    "WORKDIR": _whole,
}
