"""Lengths of time as Go writes them: `1h30m`, `1.5s`, `200ms`."""

import re

from imagewright.dockerfile.characters import printable
from imagewright.errors import InvalidInput

__all__ = ["parse_duration"]

_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)", re.DOTALL)
_UNITS = {
    "ns": 1,
    "us": 10**3,
    "µs": 10**3,
    "μs": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
_LARGEST = 2**63 - 1
_DIGITS = 19  # no more fit
_LONGEST = 1024


def parse_duration(text: str) -> int:
    """Return nanoseconds; raises InvalidInput with the text of Go's `time.ParseDuration`."""
    sign = -1 if text.startswith("-") else 1
    rest = text[1:] if text.startswith(("-", "+")) else text
    if rest == "0":
        return 0
    invalid = InvalidInput(f"time: invalid duration {_quote(text)}")
    if not rest or len(rest) > _LONGEST:
        raise invalid
    total = 0
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        whole, fraction, unit = match.groups("") if match else ("", "", "")
        digits = whole.lstrip("0")
        if not (whole or fraction) or len(digits) > _DIGITS:
            raise invalid
        if not unit:
            raise InvalidInput(f"time: missing unit in duration {_quote(text)}")
        if unit not in _UNITS:
            raise InvalidInput(f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")
        fraction = fraction[:_DIGITS]
        total += int(digits or "0") * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
        if total > _LARGEST:
            raise invalid
        position = match.end() if match else len(rest)
    return sign * total


def _quote(text: str) -> str:
    """Return `text` between quotes as package `time` does it: byte by byte."""
    shown = ""
    for byte in printable(text).encode():
        character = chr(byte)
        if character in '"\\':
            shown += "\\" + character
        elif 0x20 <= byte < 0x80:
            shown += character
        else:
            shown += f"\\x{byte:02x}"
    return f'"{shown}"'
