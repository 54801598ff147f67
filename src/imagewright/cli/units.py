"""Sizes and times as people read them, in the words of the docker program."""

import re

from imagewright.errors import InvalidInput

__all__ = ["human_age", "human_size", "parse_size"]

_SIZES = ("B", "kB", "MB", "GB", "TB", "PB")
_MINUTE = 60
_HOUR = 60 * _MINUTE


# As the docker program reads it: powers of 1024, whichever way the unit is spelt.
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([kmgtp]?)(?:i?b)?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the bytes that `64m`, `1.5GiB` or `1024` stands for; raise `InvalidInput` for anything else."""
    match = _SIZE.fullmatch(text)
    size = float(match[1]) * 1024 ** " kmgtp".index(match[2].lower() or " ") if match else -1
    if not 0 <= size < 1 << 63:
        raise InvalidInput(f"invalid size: {text!r}")
    return int(size)


def human_size(size: int) -> str:
    """Return `size`, in bytes, with three significant digits in powers of 1000: `1.98MB`."""
    value = float(size)
    unit = 0
    # 999.5 would be written with three digits as 1000.
    while value >= 999.5 and unit < len(_SIZES) - 1:
        value /= 1000
        unit += 1
    return f"{value:.3g}{_SIZES[unit]}"


def human_age(seconds: float) -> str:
    """Return how long ago something was: `5 minutes ago`; a time to come counts as now."""
    return f"{_duration(max(0, int(seconds)))} ago"


def _duration(seconds: int) -> str:
    minutes, hours = seconds // _MINUTE, (seconds + _HOUR // 2) // _HOUR
    if seconds < 1:
        return "Less than a second"
    if seconds < 2 * _MINUTE:
        return {1: "1 second"}.get(seconds, f"{seconds} seconds") if seconds < _MINUTE else "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    if hours <= 1:
        return "About an hour"
    days = hours // 24
    # Each unit up to the age at which the docker program changes to the next, in hours.
    for limit, count, unit in (
        (48, hours, "hours"),
        (24 * 7 * 2, days, "days"),
        (24 * 30 * 2, days // 7, "weeks"),
        (24 * 365 * 2, days // 30, "months"),
    ):
        if hours < limit:
            return f"{count} {unit}"
    return f"{days // 365} years"
