"""The members of a tar stream, one after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from imagewright.archive.blocks import Blocks, cut
from imagewright.archive.header import (
    BLOCK,
    FIELDS,
    GNU_MAGIC,
    USTAR_MAGIC,
    ZERO_BLOCK,
    invalid_header,
    parse_number,
    parse_text,
    too_long,
    verify,
)
from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.pax import XATTR_PREFIX, decode_xattr_name, parse_integer, parse_records, parse_time
from imagewright.archive.sparse import (
    Segments,
    check_segments,
    parse_decimal_map,
    parse_old_entries,
    read_stored_map,
)
from imagewright.archive.stream import CHUNK, Readable
from imagewright.errors import InvalidInput

__all__ = ["Entry", "Kind", "read_entries"]

Kind = Literal["file", "directory", "symlink", "link", "character", "block", "fifo"]

_SECOND = 1_000_000_000
_NO_XATTRS: Mapping[str, bytes] = {}
_SPARSE_NUMBERS = frozenset({b"GNU.sparse.offset", b"GNU.sparse.numbytes"})
# What a global header cannot say sensibly of all members that follow it.
_NEVER_GLOBAL = (b"path", b"linkpath", b"size", b"GNU.sparse.")
# The last id, all ones, means "leave it" to the kernel.
_MOST_ID = 2**32 - 2
_MOST_TIME = 2**63 - 1
_ZEROS = memoryview(bytes(CHUNK))

# Typeflags. POSIX wants unknown ones taken for files, and so would a volume label or a dump of a directory become a
# file; the engine refuses them, and so do we. "7" is a contiguous file, to be treated as a file where there is none.
_KINDS: Mapping[bytes, Kind] = {
    b"\0": "file",
    b"0": "file",
    b"7": "file",
    b"S": "file",
    b"1": "link",
    b"2": "symlink",
    b"3": "character",
    b"4": "block",
    b"5": "directory",
    b"6": "fifo",
}
_EXTENSIONS = frozenset({b"x", b"g", b"L", b"K"})
# How many headers may extend one member: one of each kind is what programs write, some write two.
_MOST_EXTENSIONS = 16


@dataclass(slots=True, eq=False)
class Entry:
    """One member, as the archive has it: `path` and `link` are raw, neither cleaned nor checked.

    `size` is the number of bytes of content, holes included; `mode` the permission bits with setuid, setgid, sticky.
    `offset` is where the stored content begins in the stream, `stored` its length there. `segments` is None, or for a
    sparse member the parts of the content that are stored, `(offset, size)` in order.
    """

    path: str
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: str
    major: int
    minor: int
    xattrs: Mapping[str, bytes]
    offset: int
    stored: int
    segments: Segments | None
    _blocks: Blocks

    def whole(self) -> memoryview | None:
        """Return the content in one piece, as `pieces` does, if that is at hand: so it is with most that are small."""
        if self.segments is not None or self._blocks.offset != self.offset:
            return None
        return self._blocks.whole(self.stored)

    def pieces(self) -> Iterator[memoryview]:
        """Yield the content in pieces, holes as zeros; once, and before the next entry is asked for."""
        if self.segments is None:
            return self._stored_pieces(self.stored)
        return (piece for piece, _ in self.pieces_with_holes())

    def pieces_with_holes(self) -> Iterator[tuple[memoryview, bool]]:
        """Yield the content as `pieces` does, each piece with whether it is stored, or else zeros in a hole."""
        at = 0
        segments = ((0, self.size),) if self.segments is None else self.segments
        stored = self._stored_pieces
        for offset, length in segments:
            yield from ((piece, False) for piece in _hole(offset - at))
            yield from ((piece, True) for piece in stored(length))
            stored = self._blocks.pieces
            at = offset + length
        yield from ((piece, False) for piece in _hole(self.size - at))

    def _stored_pieces(self, size: int) -> Iterator[memoryview]:
        if self._blocks.offset != self.offset:
            raise ValueError("the content of an entry can be read once, before the next entry")
        return self._blocks.pieces(size)


def _hole(size: int) -> Iterator[memoryview]:
    while size > 0:
        yield _ZEROS[:size]
        size -= CHUNK


def read_entries(stream: Readable, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Entry]:
    """Yield the members of the uncompressed tar `stream`, in order, and read it to its end.

    Reads v7, ustar, GNU (long names, base-256 numbers, sparse) and PAX (with global headers, `SCHILY.xattr.`, and
    sparse 0.0, 0.1, 1.0). Missing end blocks and a cut last padding are accepted, as other readers do; anything else
    that is cut raises `InvalidInput` "unexpected EOF", anything that is no tar "archive/tar: invalid tar header".
    """
    parser = _Parser(Blocks(stream, limits), limits)
    while (entry := parser.next()) is not None:
        yield entry
        parser.finish(entry)
    parser.drain()


@dataclass(slots=True)
class _Extension:
    """What the headers before a member say of it."""

    records: dict[bytes, bytes]
    sparse_numbers: list[bytes]
    path: str | None = None
    link: str | None = None


class _Parser:
    """From blocks to entries; one for an archive."""

    __slots__ = ("_blocks", "_extended", "_global", "_limits", "_members")

    def __init__(self, blocks: Blocks, limits: Limits) -> None:
        self._blocks = blocks
        self._limits = limits
        self._global: dict[bytes, bytes] = {}
        self._extended = 0
        self._members = 0

    def next(self) -> Entry | None:
        """Return the next member, or None at the end of the archive."""
        extension: _Extension | None = None
        for _ in range(_MOST_EXTENSIONS + 1):
            block = self._blocks.block()
            if block is None or block == ZERO_BLOCK:
                if extension is not None:
                    raise cut()
                self._check_end(block)
                return None
            fields = FIELDS.unpack(block)
            verify(block, fields[6])
            if fields[7] not in _EXTENSIONS:
                return self._entry(block, fields, extension)
            if fields[7] == b"g":
                self._extend_all(fields)
            else:
                extension = extension or _Extension({}, [])
                self._extend(extension, fields)
        raise invalid_header()

    def finish(self, entry: Entry) -> None:
        """Pass over what nobody read of `entry`."""
        end = entry.offset + entry.stored
        if not self._blocks.skip_to(end):
            raise cut()
        self._blocks.skip_to(end + -end % BLOCK)

    def drain(self) -> None:
        """Pass over what follows the archive in its stream."""
        self._blocks.drain()

    def _check_end(self, block: bytes | None) -> None:
        """Raise unless a second zero block or the end of the stream follows the first."""
        if block is not None and self._blocks.block() not in {None, ZERO_BLOCK}:
            raise invalid_header()

    def _extend_all(self, fields: tuple[bytes, ...]) -> None:
        """Read the content of a global header; an archive may end after it, as git's of nothing does."""
        records = parse_records(self._extension_data(fields))
        self._global.update(item for item in records if not item[0].startswith(_NEVER_GLOBAL))

    def _extend(self, extension: _Extension, fields: tuple[bytes, ...]) -> None:
        """Read the content of a header that is about the next member into `extension`."""
        data = self._extension_data(fields)
        if fields[7] == b"x":
            records = parse_records(data)
            extension.records = dict(records)
            extension.sparse_numbers = [value for keyword, value in records if keyword in _SPARSE_NUMBERS]
        elif fields[7] == b"L":
            extension.path = parse_text(data)
        else:
            extension.link = parse_text(data)

    def _extension_data(self, fields: tuple[bytes, ...]) -> bytes:
        size = parse_number(fields[4])
        if size < 0:
            raise invalid_header()
        self._count_extension(size)
        data = self._blocks.take(size)
        end = self._blocks.offset
        self._blocks.skip_to(end + -end % BLOCK)
        return data

    def _count_extension(self, size: int) -> None:
        self._extended += size
        if size > self._limits.header or self._extended > self._limits.headers:
            raise too_long()

    def _entry(self, block: bytes, fields: tuple[bytes, ...], extension: _Extension | None) -> Entry:
        """Return the member that `block` begins, and stand at its content."""
        self._members += 1
        if self._members > self._limits.nodes:
            raise InvalidInput(f"the archive has more than {self._limits.nodes} entries")
        kind = _KINDS.get(fields[7])
        if kind is None:
            raise InvalidInput(f"unhandled tar header type {fields[7][0]}")
        size = parse_number(fields[4])
        entry = Entry(
            path=_path(fields),
            kind=kind,
            mode=parse_number(fields[1]) & 0o7777,
            uid=parse_number(fields[2]),
            gid=parse_number(fields[3]),
            size=size,
            mtime_ns=parse_number(fields[5]) * _SECOND,
            link="" if kind == "file" else parse_text(fields[8]),
            major=0,
            minor=0,
            xattrs=_NO_XATTRS,
            offset=0,
            stored=0,
            segments=None,
            _blocks=self._blocks,
        )
        if kind in {"character", "block"}:
            entry.major, entry.minor = parse_number(fields[10]), parse_number(fields[11])
        if extension is not None or self._global:
            self._apply(entry, extension)
        if fields[7] == b"\0" and entry.path.endswith("/"):
            entry.kind = "directory"  # how it was said before there was a type for it
        _check(entry)
        if kind == "file":
            entry.stored = entry.size
            if fields[7] == b"S":
                self._map(entry, self._old_segments(block), parse_number(block[483:495]))
            elif extension is not None:
                self._map_records(entry, extension)
        else:
            entry.size = 0
        entry.offset = self._blocks.offset
        return entry

    def _apply(self, entry: Entry, extension: _Extension | None) -> None:
        """Put what extension headers say over what the header says."""
        records = {**self._global, **extension.records} if extension is not None else self._global
        xattrs: dict[str, bytes] = {}
        for keyword, value in records.items():
            apply = _RECORDS.get(keyword)
            if apply is not None:
                if value:  # an empty value says that there is none
                    apply(entry, value)
            elif keyword.startswith(XATTR_PREFIX):
                xattrs[decode_xattr_name(keyword)] = value
        if xattrs:
            entry.xattrs = xattrs
        if extension is not None:
            if extension.path is not None:
                entry.path = extension.path
            if extension.link is not None:
                entry.link = extension.link

    def _old_segments(self, block: bytes) -> list[tuple[int, int]]:
        """Return the segments in an old GNU header and in the blocks that continue it."""
        segments = parse_old_entries(block[386:482])
        more = block[482]
        size = 0
        while more:
            size += BLOCK
            self._count_extension(size)
            extra = self._blocks.block()
            if extra is None:
                raise cut()
            segments += parse_old_entries(extra[:504])
            more = extra[504]
        return segments

    def _map_records(self, entry: Entry, extension: _Extension) -> None:
        """Make `entry` a sparse member if PAX records say that it is one."""
        records = extension.records
        version = records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b"")
        listed = records.get(b"GNU.sparse.map", b"")
        if version == (b"1", b"0"):
            segments, blocks = read_stored_map(self._stored_block, self._limits.header)
            self._count_extension(blocks * BLOCK)
            entry.stored -= blocks * BLOCK
        elif listed:
            segments = parse_decimal_map(listed.split(b","))
        elif extension.sparse_numbers:
            segments = parse_decimal_map(extension.sparse_numbers)
        else:
            return
        name = records.get(b"GNU.sparse.name", b"")
        if name:
            entry.path = parse_text(name)
        size = records.get(b"GNU.sparse.realsize") or records.get(b"GNU.sparse.size")
        self._map(entry, segments, parse_integer(size) if size else entry.size)

    def _stored_block(self) -> bytes:
        block = self._blocks.block()
        if block is None:
            raise cut()
        return block

    def _map(self, entry: Entry, segments: list[tuple[int, int]], size: int) -> None:
        """Make `entry` a sparse member of `size` bytes."""
        entry.segments = check_segments(segments, size, entry.stored)
        entry.size = size
        self._blocks.charge(size - entry.stored)


def _path(fields: tuple[bytes, ...]) -> str:
    """Return the name in a header, with its prefix where the format has one."""
    name, magic, prefix = fields[0], fields[9], fields[12]
    if prefix[0]:
        if magic == USTAR_MAGIC:
            return f"{parse_text(prefix)}/{parse_text(name)}"
        if magic == GNU_MAGIC and not _is_time(prefix[:12]):
            # GNU has times there. Go before 1.8 wrote a prefix nevertheless, and images from then are still around.
            return f"{parse_text(prefix)}/{parse_text(name)}"
    return parse_text(name)


def _is_time(field: bytes) -> bool:
    try:
        parse_number(field)
    except InvalidInput:
        return False
    return True


def _set_path(entry: Entry, value: bytes) -> None:
    entry.path = parse_text(value)


def _set_link(entry: Entry, value: bytes) -> None:
    entry.link = parse_text(value)


def _set_size(entry: Entry, value: bytes) -> None:
    entry.size = parse_integer(value)


def _set_uid(entry: Entry, value: bytes) -> None:
    entry.uid = parse_integer(value)


def _set_gid(entry: Entry, value: bytes) -> None:
    entry.gid = parse_integer(value)


def _set_mtime(entry: Entry, value: bytes) -> None:
    entry.mtime_ns = parse_time(value)


_RECORDS = {
    b"path": _set_path,
    b"linkpath": _set_link,
    b"size": _set_size,
    b"uid": _set_uid,
    b"gid": _set_gid,
    b"mtime": _set_mtime,
}


def _check(entry: Entry) -> None:
    """Raise for numbers that no file can have; a time that no file system has becomes 1970, as the engine does it."""
    if entry.size < 0:
        raise invalid_header()
    if not (0 <= entry.uid <= _MOST_ID and 0 <= entry.gid <= _MOST_ID):
        raise InvalidInput(f'"{entry.path[:100]}" has an owner that is no number of a user')
    if not (0 <= entry.major < 1 << 12 and 0 <= entry.minor < 1 << 20):
        raise InvalidInput(f'"{entry.path[:100]}" is a device that cannot be')
    if not -_MOST_TIME <= entry.mtime_ns <= _MOST_TIME:
        entry.mtime_ns = 0
