"""PAX extended header records.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_03
"""

import re
from collections.abc import Iterable

from imagewright.archive.header import invalid_header

__all__ = [
    "XATTR_PREFIX",
    "decode_xattr_name",
    "encode_records",
    "encode_xattr_name",
    "format_time",
    "parse_integer",
    "parse_records",
    "parse_time",
]

XATTR_PREFIX = b"SCHILY.xattr."

_SECOND = 1_000_000_000
# Numbers are cut to a length before they are read: reading decimal digits takes quadratic time.
_LENGTH = re.compile(rb"0{0,20}([1-9][0-9]{0,9}) ")
_INTEGER = re.compile(rb"[+-]?0{0,20}[0-9]{1,19}")
_TIME = re.compile(rb"([+-]?)0{0,20}([0-9]{1,19})(?:\.([0-9]*))?")
_NAMES = frozenset({b"path", b"linkpath", b"uname", b"gname"})


def parse_records(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the keywords and values of an extended header, in order; raises `InvalidInput` if it is malformed.

    Takes time linear in the length of `data`.
    """
    records: list[tuple[bytes, bytes]] = []
    at, end = 0, len(data)
    while at < end:
        match = _LENGTH.match(data, at)
        if match is None:
            raise invalid_header()
        stop = at + int(match[1])
        if stop > end or stop <= match.end() or data[stop - 1] != 0x0A:
            raise invalid_header()
        keyword, equals, value = data[match.end() : stop - 1].partition(b"=")
        # A name with a NUL would be one name here and another for the operating system.
        if not keyword or not equals or b"\0" in (value if keyword in _NAMES else keyword):
            raise invalid_header()
        records.append((keyword, value))
        at = stop
    return records


def encode_records(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return an extended header of `records`, in their order."""
    return b"".join(_encode_record(keyword, value) for keyword, value in records)


def _encode_record(keyword: bytes, value: bytes) -> bytes:
    body = b" %b=%b\n" % (keyword, value)
    # The length counts its own digits.
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:
        length += 1
    return b"%d%b" % (length, body)


def parse_integer(value: bytes) -> int:
    """Return the decimal number that `value` spells; raises `InvalidInput` if it is none or exceeds 64 bits."""
    if _INTEGER.fullmatch(value) is None:
        raise invalid_header()
    number = int(value)
    if not -(2**63) <= number < 2**63:
        raise invalid_header()
    return number


def parse_time(value: bytes) -> int:
    """Return the time in nanoseconds since 1970 that `value` gives in seconds; finer digits are dropped."""
    match = _TIME.fullmatch(value)
    if match is None or int(match[2]) >= 2**63:
        raise invalid_header()
    time_ns = int(match[2]) * _SECOND + int((match[3] or b"")[:9].ljust(9, b"0"))
    return -time_ns if match[1] == b"-" else time_ns


def format_time(time_ns: int) -> bytes:
    """Return `time_ns` in seconds, with as many decimals as it needs."""
    seconds, nanoseconds = divmod(abs(time_ns), _SECOND)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{'-' if time_ns < 0 else ''}{seconds}{fraction}".encode()


def encode_xattr_name(name: str) -> bytes:
    """Return the keyword for the extended attribute `name`: a keyword cannot hold `=`, so GNU tar writes %3D for it."""
    return XATTR_PREFIX + name.encode("utf-8", "surrogateescape").replace(b"%", b"%25").replace(b"=", b"%3D")


def decode_xattr_name(keyword: bytes) -> str:
    """Return the extended attribute that `keyword` is for."""
    name = keyword[len(XATTR_PREFIX) :].replace(b"%3D", b"=").replace(b"%25", b"%")
    return name.decode("utf-8", "surrogateescape")
