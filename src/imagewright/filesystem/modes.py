"""Modes as `--chmod` writes them: octal numbers, and changes such as `u=rwX,go-w`.

https://docs.docker.com/reference/dockerfile/#copy---chown---chmod and
https://pubs.opengroup.org/onlinepubs/9799919799/utilities/chmod.html. There is no umask: who is not named is everyone.
"""

import re
from dataclasses import dataclass, field

from imagewright.errors import InvalidInput

__all__ = ["ModeChange", "parse_mode"]

_OCTAL = re.compile(r"[0-7]{1,12}")
_CLAUSE = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_ACTION = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_LONGEST = 1024

_SHIFTS = {"u": 6, "g": 3, "o": 0}
_SETUID, _SETGID, _STICKY = 0o4000, 0o2000, 0o1000
# What `=` replaces for each class: the sticky bit is nobody's, and stays unless `t` names it.
_CLASSES = {"u": 0o700 | _SETUID, "g": 0o070 | _SETGID, "o": 0o007, "a": 0o777 | _SETUID | _SETGID}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": _SETUID | _SETGID, "t": _STICKY}
_EXECUTE = 0o111


@dataclass(frozen=True, slots=True)
class ModeChange:
    """A symbolic mode: what it makes of a mode depends on that mode, and on whether it is a directory's."""

    text: str
    _actions: tuple[tuple[str, str, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        actions: list[tuple[str, str, str]] = []
        for clause in self.text.split(",") if len(self.text) <= _LONGEST else ("",):
            match = _CLAUSE.fullmatch(clause)
            if match is None:
                raise _invalid(self.text)
            actions.extend((match[1] or "a", operator, what) for operator, what in _ACTION.findall(match[2]))
        object.__setattr__(self, "_actions", tuple(actions))

    def apply(self, mode: int, *, directory: bool) -> int:
        """Return what becomes of `mode`, the permission bits with setuid, setgid and sticky."""
        executable = directory or bool(mode & _EXECUTE)
        for who, operator, what in self._actions:
            affected = 0
            for one in who:
                affected |= _CLASSES[one]
            bits = _bits(what, mode, executable=executable) & (affected | _STICKY)
            if not affected & ~_CLASSES["o"]:
                bits &= ~_STICKY
            if operator == "=":
                mode &= ~affected
            mode = mode & ~bits if operator == "-" else mode | bits
        return mode


def parse_mode(text: str) -> int | ModeChange:
    """Return the mode that `text` is, or the change; raise `InvalidInput` if it is neither."""
    if not text[:1].isdigit():
        return ModeChange(text)
    if not _OCTAL.fullmatch(text) or int(text, 8) > 0o7777:
        raise _invalid(text)
    return int(text, 8)


def _bits(what: str, mode: int, *, executable: bool) -> int:
    """Return the bits that `what` names, for all classes; those of another class are as they are in `mode` now."""
    if what in _SHIFTS:
        copied = mode >> _SHIFTS[what] & 0o7
        return copied << 6 | copied << 3 | copied
    bits = 0
    for letter in what:
        bits |= (_EXECUTE if executable else 0) if letter == "X" else _BITS[letter]
    return bits


def _invalid(text: str) -> InvalidInput:
    return InvalidInput(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
