"""Writing tar: layers in a canonical form, and plain archives.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13: ustar where it can hold what there is
to say, with PAX records before it where it cannot.
"""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from imagewright.archive.builder import quote
from imagewright.archive.content import ContentReader, Contents
from imagewright.archive.follower import Follower
from imagewright.archive.header import BLOCK, ZERO_BLOCK
from imagewright.archive.stream import CHUNK, Writable
from imagewright.archive.ustar import Fields, PlainHeaders, format_header
from imagewright.errors import Corrupt, InvalidInput
from imagewright.filesystem.layer import Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Device, Directory, File, Node, Symlink
from imagewright.oci import Digest

__all__ = ["Member", "layer_size", "write_layer", "write_members"]

_WHITEOUT = ".wh."
_OPAQUE = b".wh..wh..opq"
_LARGE = CHUNK // 2
_MEMBER_TYPES = {"file": b"0", "directory": b"5", "symlink": b"2"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a plain archive; `data` is given in one piece or in several, `size` bytes in all.

    A `size` of None is the length of the one piece. `link` is the target of a symbolic link.
    """

    path: str
    kind: Literal["file", "directory", "symlink"] = "file"
    data: bytes | Iterable[bytes] = b""
    size: int | None = None
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0


def write_layer(
    layer: Layer,
    out: Writable,
    *,
    read: ContentReader | None = None,
    place: Callable[[File, int], object] | None = None,
) -> Digest:
    """Write `layer` to `out` as an uncompressed tar in canonical form, and return its diff_id.

    Equal layers with equal hard links give equal bytes. `read` gives the bytes of contents; by default they are read
    through their extents. `place` is told where in the tar the bytes of each file begin, once for each. Raises
    `Corrupt` if a content has not the size it promises, and `InvalidInput` for a name that a layer cannot hold (`.wh.`
    at its beginning means something else there).
    """
    digest = hashlib.sha256()
    with Contents() as contents, Follower(digest.update) as follower:
        sink = _Sink(out, follower.feed)
        _write_changes(layer, sink, read or contents.pieces, place or _nowhere)
        sink.end()
    return Digest(digest.hexdigest())


def write_members(members: Iterable[Member], out: Writable) -> None:
    """Write an uncompressed tar of `members`, in their order, to `out`."""
    sink = _Sink(out, lambda _: None)
    for member in members:
        pieces = (member.data,) if isinstance(member.data, bytes) else member.data
        size = len(member.data) if member.size is None and isinstance(member.data, bytes) else member.size or 0
        fields = Fields(
            path=_encode(member.path) + (b"/" if member.kind == "directory" else b""),
            type=_MEMBER_TYPES[member.kind],
            mode=member.mode,
            uid=member.uid,
            gid=member.gid,
            mtime_ns=member.mtime_ns,
            size=size,
            link=_encode(member.link),
        )
        sink.header(fields)
        sink.data(iter(pieces), size, member.path)
    sink.end()


def layer_size(layer: Layer) -> int:
    """Return the bytes of all contents of `layer`, hard links once: the size that image lists show."""
    files = {id(change.node): change.node for change in layer.changes if isinstance(change, Put)}
    return sum(node.content.size for node in files.values() if isinstance(node, File))


class _Sink:
    """Gathers a tar into pieces of a good size, and gives each to `out` and to `follow`."""

    __slots__ = ("_follow", "_out", "_parts", "_size", "_written")

    def __init__(self, out: Writable, follow: Callable[[bytes], None]) -> None:
        self._out = out
        self._follow = follow
        self._parts: list[bytes] = []
        self._size = 0
        self._written = 0

    @property
    def offset(self) -> int:
        """Where in the tar the next byte will be."""
        return self._written + self._size

    def header(self, fields: Fields) -> None:
        """Write the header of a member."""
        self.add(format_header(fields))

    def data(self, pieces: Iterable[bytes], size: int, what: object) -> None:
        """Write a content, with its padding; raises `Corrupt` unless it has `size` bytes."""
        total = 0
        for piece in pieces:
            total += len(piece)
            if total > size:
                break
            self.add(piece)
        if total != size:
            raise Corrupt(f"the bytes of {what} are not {size}")
        if size % BLOCK:
            self.add(ZERO_BLOCK[size % BLOCK :])

    def end(self) -> None:
        """Write the end of the archive, and whatever is still here."""
        self.add(ZERO_BLOCK + ZERO_BLOCK)
        self._flush()

    def add(self, data: bytes) -> None:
        """Write `data`."""
        if len(data) >= _LARGE:
            # Not joined with what is around it: that would be one more copy of all there is.
            self._flush()
            self._hand_on(data)
            return
        self._parts.append(data)
        self._size += len(data)
        if self._size >= CHUNK:
            self._flush()

    def _flush(self) -> None:
        if self._parts:
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
            self._hand_on(data)

    def _hand_on(self, data: bytes) -> None:
        self._written += len(data)
        self._follow(data)
        self._out.write(data)


def _nowhere(_file: File, _offset: int) -> None:
    """Let nobody know where contents are."""


def _write_changes(layer: Layer, sink: _Sink, read: ContentReader, place: Callable[[File, int], object]) -> None:
    first: dict[int, bytes] = {}  # where each node that could have hard links stands
    plain = PlainHeaders()
    for change in layer.changes:
        path = change.path
        if _WHITEOUT in path and any(name.startswith(_WHITEOUT) for name in path.split("/")):
            raise InvalidInput(f"{quote(path)}: a layer cannot hold a name that begins with .wh.")
        name = _encode(path)
        match change:
            case Put(node=Directory() as node):
                sink.header(_fields(name + b"/" if name else b"./", node))
            case Put(node=node):
                original = first.setdefault(id(node), name)
                # Also where an inode has its metadata already, a reader may set what the header says.
                if original is not name:
                    sink.header(_fields(name, node, link=original))
                elif isinstance(node, File):
                    _write_file(name, node, sink, plain)
                    place(node, sink.offset)
                    sink.data(read(node.content), node.content.size, node.content.digest)
                else:
                    sink.header(_fields(name, node))
            case Whiteout():
                head, slash, removed = name.rpartition(b"/")
                sink.header(Fields(path=b"%b%b.wh.%b" % (head, slash, removed), type=b"0"))
            case Opaque():
                sink.header(Fields(path=b"%b/%b" % (name, _OPAQUE) if name else _OPAQUE, type=b"0"))


def _write_file(name: bytes, file: File, sink: _Sink, plain: PlainHeaders) -> None:
    """Write the header of a file; nearly all members of a layer are some, and nearly all of them are simple."""
    header = None
    if not file.xattrs:
        header = plain.format(name, (file.mode, file.uid, file.gid), file.content.size, file.mtime_ns)
    sink.add(header or format_header(_fields(name, file)))


def _fields(path: bytes, node: Node, link: bytes | None = None) -> Fields:
    """Return what the header of `node` says; of a hard link if `link` is given."""
    type_, target, size, major, minor = b"6", b"", 0, 0, 0
    if link is not None:
        type_, target = b"1", link
    elif isinstance(node, File):
        type_, size = b"0", node.content.size
    elif isinstance(node, Directory):
        type_ = b"5"
    elif isinstance(node, Symlink):
        type_, target = b"2", _encode(node.target)
    elif isinstance(node, Device):
        type_ = b"4" if node.kind == "block" else b"3"
        major, minor = node.major, node.minor
    return Fields(
        path=path,
        type=type_,
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
        size=size,
        mtime_ns=node.mtime_ns,
        link=target,
        major=major,
        minor=minor,
        xattrs=node.xattrs,
    )


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
