"""Making headers: ustar where it can hold what there is to say, PAX records before it where it cannot.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06. Equal fields give equal bytes.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from imagewright.archive.header import BLOCK, USTAR_MAGIC, checksum
from imagewright.archive.pax import encode_records, encode_xattr_name, format_time
from imagewright.errors import InvalidInput

__all__ = ["Fields", "PlainHeaders", "format_header"]

_SECOND = 1_000_000_000
_MOST_OCTAL_7 = 0o7777777
_MOST_OCTAL_11 = 0o77777777777
_NAME = 100
_PREFIX = 155
_DEVICES = frozenset({b"3", b"4"})
_NO_DEVICE = bytes(16)
_NO_OWNERS = bytes(64)
# What follows the checksum in the header of a regular file, and the sum of it with the type and eight spaces.
_PLAIN_TAIL = b"0" + bytes(_NAME) + USTAR_MAGIC + _NO_OWNERS + _NO_DEVICE + bytes(_PREFIX + 12)
_PLAIN_SUM = sum(_PLAIN_TAIL) + 8 * ord(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a header says: `path` ends in a slash if `type` is a directory's; `size` is the bytes that follow."""

    path: bytes
    type: bytes
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: bytes = b""
    major: int = 0
    minor: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


def format_header(fields: Fields) -> bytes:
    """Return the header for `fields`, with an extended header before it if it needs one.

    Names stand as the bytes they are, in whatever encoding, since that is what every program makes of them. Owners'
    names are left out: they would mean something else on every machine. Raises `InvalidInput` for a NUL in a name.
    """
    if b"\0" in fields.path or b"\0" in fields.link:
        raise InvalidInput("a name in an archive cannot have a NUL in it")
    prefix, name = _split(fields.path)
    records = _records(fields, name)
    if not records:
        return _block(name, prefix, fields)
    if b"path" in records:
        prefix, name = b"", name[:_NAME]
    rest = replace(
        fields,
        link=fields.link[:_NAME],
        uid=0 if b"uid" in records else fields.uid,
        gid=0 if b"gid" in records else fields.gid,
        size=0 if b"size" in records else fields.size,
        mtime_ns=min(max(fields.mtime_ns, 0), _MOST_OCTAL_11 * _SECOND),
    )
    return _extended(records, name) + _block(name, prefix, rest)


class PlainHeaders:
    """Makes the headers of many regular files that ask for nothing special, in a fifth of the time.

    Most files of a layer have the owner, the mode and the time of one before, which are formatted once.
    """

    _MOST = 1024

    def __init__(self) -> None:
        self._owners: dict[tuple[int, int, int], bytes] = {}
        self._times: dict[int, bytes] = {}

    def format(self, path: bytes, owner: tuple[int, int, int], size: int, mtime_ns: int) -> bytes | None:
        """Return what `format_header` returns, or None where that needs more than the fields of ustar.

        `owner` is mode, uid and gid.
        """
        if len(path) > _NAME or size > _MOST_OCTAL_11 or b"\0" in path:
            return None
        owned = self._owners.get(owner) or self._owner(owner)
        time = self._times.get(mtime_ns) or self._time(mtime_ns)
        if not owned or not time:
            return None
        head = b"%b%b%011o\0%b" % (path.ljust(_NAME, b"\0"), owned, size, time)
        # As in `checksum`: 148 bytes cannot reach the modulus.
        return b"%b%06o\0 %b" % (head, (zlib.adler32(head) & 0xFFFF) - 1 + _PLAIN_SUM, _PLAIN_TAIL)

    def _owner(self, owner: tuple[int, int, int]) -> bytes:
        """Return the fields of mode and owner, nothing if they do not fit."""
        _, uid, gid = owner
        if uid > _MOST_OCTAL_7 or gid > _MOST_OCTAL_7:
            return b""
        if len(self._owners) >= self._MOST:
            self._owners.clear()
        owned = self._owners[owner] = b"%07o\0%07o\0%07o\0" % owner
        return owned

    def _time(self, mtime_ns: int) -> bytes:
        """Return the field of the time, nothing if it does not fit."""
        seconds, rest = divmod(mtime_ns, _SECOND)
        if rest or not 0 <= seconds <= _MOST_OCTAL_11:
            return b""
        if len(self._times) >= self._MOST:
            self._times.clear()
        time = self._times[mtime_ns] = b"%011o\0" % seconds
        return time


def _records(fields: Fields, name: bytes) -> dict[bytes, bytes]:
    """Return what of `fields` the fields of a ustar header cannot hold; `name` is what its name field would have."""
    records: dict[bytes, bytes] = {}
    if len(name) > _NAME:
        records[b"path"] = fields.path
    if len(fields.link) > _NAME:
        records[b"linkpath"] = fields.link
    if fields.mtime_ns % _SECOND or not 0 <= fields.mtime_ns <= _MOST_OCTAL_11 * _SECOND:
        records[b"mtime"] = format_time(fields.mtime_ns)
    if fields.uid > _MOST_OCTAL_7:
        records[b"uid"] = b"%d" % fields.uid
    if fields.gid > _MOST_OCTAL_7:
        records[b"gid"] = b"%d" % fields.gid
    if fields.size > _MOST_OCTAL_11:
        records[b"size"] = b"%d" % fields.size
    for key, value in fields.xattrs.items():
        records[encode_xattr_name(key)] = value
    return records


def _split(path: bytes) -> tuple[bytes, bytes]:
    """Return `path` as prefix and name; the name is longer than its field if no slash is where one is needed."""
    if len(path) > _NAME:
        cut = path.rfind(b"/", 1, min(_PREFIX + 1, len(path) - 1))
        if cut > 0 and len(path) - cut - 1 <= _NAME:
            return path[:cut], path[cut + 1 :]
    return b"", path


def _extended(records: dict[bytes, bytes], name: bytes) -> bytes:
    """Return an extended header with `records`, sorted; it needs a name, which only other programs will see."""
    if b"path" in records or b"linkpath" in records:
        names = records.get(b"path", b"") + records.get(b"linkpath", b"")
        if not _is_utf8(names):
            records[b"hdrcharset"] = b"BINARY"
    body = encode_records(sorted(records.items()))
    label = b"PaxHeaders/" + name.rstrip(b"/").rpartition(b"/")[2][: _NAME - 11]
    header = _block(label, b"", Fields(path=label, type=b"x", mode=0o644, size=len(body)))
    return header + body + bytes(-len(body) % BLOCK)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _block(name: bytes, prefix: bytes, fields: Fields) -> bytes:
    """Return the header block, from values that fit."""
    device = b"%07o\0%07o\0" % (fields.major, fields.minor) if fields.type in _DEVICES else _NO_DEVICE
    block = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b%b%b%b%b" % (
        name.ljust(_NAME, b"\0"),
        fields.mode,
        fields.uid,
        fields.gid,
        fields.size,
        fields.mtime_ns // _SECOND,
        fields.type,
        fields.link.ljust(_NAME, b"\0"),
        USTAR_MAGIC,
        _NO_OWNERS,
        device,
        prefix.ljust(_PREFIX + 12, b"\0"),
    )
    return b"%b%06o\0 %b" % (block[:148], checksum(block), block[156:])
