"""Archives made byte by byte, so that a test can have them as wrong as it wants."""

from collections.abc import Iterable, Mapping

from imagewright.archive.header import BLOCK

END = bytes(2 * BLOCK)

_FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "type": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
    "sparse": (386, 96),
    "continued": (482, 1),
    "realsize": (483, 12),
}


def header(name: bytes = b"f", *, size: int = 0, kind: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    """A header; `fields` are raw bytes, the checksum is right unless it is one of them."""
    values: dict[str, bytes] = {
        "name": name,
        "mode": b"0000644\0",
        "uid": b"0000000\0",
        "gid": b"0000000\0",
        "size": b"%011o\0" % size,
        "mtime": b"%011o\0" % 0,
        "checksum": b" " * 8,
        "type": kind,
        "link": link,
        "magic": b"ustar\x0000",
        **fields,
    }
    block = bytearray(BLOCK)
    for field, value in values.items():
        at, length = _FIELDS[field]
        assert len(value) <= length, (field, value)
        block[at : at + len(value)] = value
    if "checksum" not in fields:
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def member(name: bytes = b"f", data: bytes = b"", *, kind: bytes = b"0", link: bytes = b"", **fields: bytes) -> bytes:
    return header(name, size=len(data), kind=kind, link=link, **fields) + padded(data)


def record(keyword: bytes, value: bytes) -> bytes:
    length = len(keyword) + len(value) + 3
    while length != len(b"%d %b=%b\n" % (length, keyword, value)):
        length = len(b"%d %b=%b\n" % (length, keyword, value))
    return b"%d %b=%b\n" % (length, keyword, value)


def pax(records: Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    items = records.items() if isinstance(records, Mapping) else records
    return member(b"PaxHeaders/f", b"".join(record(*item) for item in items), kind=kind)


class Stream:
    """A `Readable` over bytes that gives at most `step` of them at a time."""

    def __init__(self, data: bytes, step: int = 1 << 20) -> None:
        self._data = data
        self._step = step
        self._at = 0

    def read(self, n: int, /) -> bytes:
        data = self._data[self._at : self._at + min(n, self._step)]
        self._at += len(data)
        return data
