"""Making headers: ustar where it can hold what there is to say, PAX records before it where it cannot.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13_06. Equal fields give equal bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from imagewright.archive.header import BLOCK, USTAR_MAGIC, checksum
from imagewright.archive.pax import encode_records, encode_xattr_name, format_time
from imagewright.errors import InvalidInput

__all__ = ["Fields", "format_header"]

_SECOND = 1_000_000_000
_MOST_OCTAL_7 = 0o7777777
_MOST_OCTAL_11 = 0o77777777777
_NAME = 100
_PREFIX = 155


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What a header says: `path` with a slash at its end if `type` is a directory's; `size` in bytes of what follows."""

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
    records: dict[bytes, bytes] = {}
    prefix, name = _split(fields.path)
    if len(name) > _NAME:
        records[b"path"] = fields.path
        prefix, name = b"", name[:_NAME]
    if len(fields.link) > _NAME:
        records[b"linkpath"] = fields.link
    seconds, nanoseconds = divmod(fields.mtime_ns, _SECOND)
    if nanoseconds or not 0 <= seconds <= _MOST_OCTAL_11:
        records[b"mtime"] = format_time(fields.mtime_ns)
        seconds = min(max(seconds, 0), _MOST_OCTAL_11)
    uid, gid, size = fields.uid, fields.gid, fields.size
    if uid > _MOST_OCTAL_7:
        records[b"uid"], uid = b"%d" % uid, 0
    if gid > _MOST_OCTAL_7:
        records[b"gid"], gid = b"%d" % gid, 0
    if size > _MOST_OCTAL_11:
        records[b"size"], size = b"%d" % size, 0
    for key, value in fields.xattrs.items():
        records[encode_xattr_name(key)] = value
    if b"\0" in fields.path or b"\0" in fields.link:
        raise InvalidInput("a name in an archive cannot have a NUL in it")
    device = (fields.major, fields.minor) if fields.type in {b"3", b"4"} else None
    block = _block(name, fields.mode, uid, gid, size, seconds, fields.type, fields.link[:_NAME], device, prefix)
    return _extended(records, name) + block if records else block


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
    header = _block(label, 0o644, 0, 0, len(body), 0, b"x", b"", None, b"")
    return header + body + bytes(-len(body) % BLOCK)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _block(
    name: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    seconds: int,
    type_: bytes,
    link: bytes,
    device: tuple[int, int] | None,
    prefix: bytes,
) -> bytes:
    numbers = b"%07o\0%07o\0" % device if device is not None else bytes(16)
    block = b"%b%07o\0%07o\0%07o\0%011o\0%011o\0        %b%b%b%b%b%b" % (
        name.ljust(_NAME, b"\0"),
        mode,
        uid,
        gid,
        size,
        seconds,
        type_,
        link.ljust(_NAME, b"\0"),
        USTAR_MAGIC,
        bytes(64),
        numbers,
        prefix.ljust(_PREFIX + 12, b"\0"),
    )
    return b"%b%06o\0 %b" % (block[:148], checksum(block), block[156:])
