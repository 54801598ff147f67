"""Times and durations as clients write them: of Go's notation, of RFC 3339, or seconds since 1970."""

import re

from imagewright.errors import InvalidInput
from imagewright.oci import parse_time

__all__ = ["parse_duration", "parse_event_time", "parse_log_time", "parse_timestamp"]

_SECOND = 1_000_000_000
_UNITS_NS = {"h": 3600 * _SECOND, "m": 60 * _SECOND, "s": _SECOND, "ms": 1_000_000, "us": 1000, "µs": 1000, "ns": 1}
_COUNT = r"(?:\d+\.?\d*|\.\d+)"
_UNIT = "(?:h|ms|m|s|us|µs|ns)"
_DURATION = re.compile(rf"[+-]?(?:{_COUNT}{_UNIT})+")
_DURATION_PART = re.compile(rf"({_COUNT})({_UNIT})")
# As many seconds as nanoseconds of 64 bits can say.
_SECONDS = re.compile(r"(-?\d{1,10})(?:\.(\d{1,20})?)?")
_LOCAL_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(\.\d{1,9})?)?)?)?(Z|[+-]\d\d:\d\d)?")
# What is quoted of a value that cannot be read.
_QUOTED = 60


def parse_duration(text: str) -> int | None:
    """Return the nanoseconds that `text`, such as `1h30m`, says; None if it is no duration of Go's notation."""
    if not _DURATION.fullmatch(text):
        return None
    duration = sum(int(float(count) * _UNITS_NS[unit]) for count, unit in _DURATION_PART.findall(text))
    return -duration if text.startswith("-") else duration


def parse_timestamp(text: str, now_ns: int) -> int:
    """Return the nanoseconds since 1970 that `text` names, seen from `now_ns`.

    It is a duration before now, unix seconds, or a date with or without a time, in UTC where it names no zone. Raises
    `InvalidInput` for anything else.
    """
    found = _find_timestamp(text, now_ns)
    if found is None:
        raise InvalidInput(f'failed to parse value as time or duration: "{text[:_QUOTED]}"')
    return found


def parse_event_time(text: str, now_ns: int) -> int | None:
    """Return the nanoseconds since 1970 that `text` names as `parse_timestamp` reads it; None if it is empty."""
    if not text:
        return None
    found = _find_timestamp(text, now_ns)
    return _seconds(text) if found is None else found


def parse_log_time(text: str) -> int | None:
    """Return the nanoseconds since 1970 that `text`, of seconds and perhaps a fraction, names; None for none, or 0.

    Raises `InvalidInput` for anything else, in the engine's words.
    """
    if text in {"", "0"}:
        return None
    return _seconds(text)


def _seconds(text: str) -> int:
    found = _SECONDS.fullmatch(text)
    if found is None:
        seconds, _, fraction = text.partition(".")
        bad = fraction if fraction and re.fullmatch(r"[+-]?\d+", seconds) else seconds
        raise InvalidInput(f'strconv.ParseInt: parsing "{bad[:_QUOTED]}": invalid syntax')
    return int(found[1]) * _SECOND + int((found[2] or "")[:9].ljust(9, "0"))


def _find_timestamp(text: str, now_ns: int) -> int | None:
    duration = parse_duration(text)
    if duration is not None:
        return now_ns - duration
    if _SECONDS.fullmatch(text):
        return _seconds(text)
    parts = _LOCAL_TIME.fullmatch(text)
    if parts is None:
        return None
    date, hour, minute, second, fraction, zone = (part or "" for part in parts.groups())
    return parse_time(f"{date}T{hour or '00'}:{minute or '00'}:{second or '00'}{fraction}{zone or 'Z'}")
