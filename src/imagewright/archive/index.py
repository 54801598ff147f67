"""The compact form of a layer that a store keeps beside its bytes.

One MessagePack document of arrays. Names are bytes, as everywhere outside this process; a hard link names the position
of the change whose node it shares; an extent names a file by its position in a table, so that a layer whose bytes are
in one tar says so once.
"""

import struct
from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec

from imagewright.errors import Corrupt
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink
from imagewright.oci import Digest

__all__ = ["OWN_TAR", "decode_index", "encode_index"]

OWN_TAR = "tar"
"""What an index calls the tar that the layer itself is."""

_VERSION = 1
# https://github.com/msgpack/msgpack/blob/master/spec.md#array-format-family
_ARRAY_OF_THREE = b"\x93"
_ARRAY_32 = 0xDD
_ARRAY_HEAD = struct.Struct(">BI")
_NO_XATTRS: dict[str, bytes] = {}


_Position = Annotated[int, msgspec.Meta(ge=0)]
_Sha256 = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]


class _Whiteout(msgspec.Struct, array_like=True, tag=0):
    path: bytes


class _Opaque(msgspec.Struct, array_like=True, tag=1):
    path: bytes


class _Link(msgspec.Struct, array_like=True, tag=2):
    """A hard link to the node of change number `original`, which comes before it."""

    path: bytes
    original: _Position


class _Inode(msgspec.Struct, array_like=True):
    path: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: tuple[tuple[bytes, bytes], ...]


class _Directory(_Inode, tag=3):
    pass


class _File(_Inode, tag=4):
    """A file; `offset` is None if its bytes are a file of their own at its own path below the file named."""

    digest: _Sha256
    size: _Position
    file: _Position
    offset: _Position | None


class _Symlink(_Inode, tag=5):
    target: bytes


class _Device(_Inode, tag=6):
    block: bool
    major: int
    minor: int


class _Fifo(_Inode, tag=7):
    pass


_Change = _Whiteout | _Opaque | _Link | _Directory | _File | _Symlink | _Device | _Fifo


class _Index(msgspec.Struct, array_like=True):
    version: int
    files: tuple[bytes, ...]
    changes: tuple[_Change, ...]


_decoder = msgspec.msgpack.Decoder(_Index)
_encoder = msgspec.msgpack.Encoder()


def encode_index(layer: Layer, place: Callable[[str], str] | Mapping[int, int]) -> bytes:
    """Return `layer` as bytes; extents keep the name that `place` gives for their path.

    Where `place` is a mapping, all bytes are in the layer's own tar, at the offsets that it has by the ids of nodes.

    A store passes a function that turns the path of a spool into a short name ("tar"), or a path below a directory
    form into one relative to it ("fs/etc/passwd"), so that the index outlives renames. Called once for each path.
    """
    return _Encoding(place).encode(layer)


def decode_index(data: bytes, locate: Callable[[str], str]) -> Layer:
    """Return the layer that `encode_index` made `data` of; `locate` turns an extent's name into a path again.

    Where a name ended in the path of its own change, `locate` is given what stands before that ("fs"), and the rest
    is added to what it returns. Hard links share their node again. Raises `Corrupt` for anything that is no index.
    """
    try:
        index = _decoder.decode(data)
        if index.version != _VERSION:
            raise Corrupt(f"the index of a layer has version {index.version}, not {_VERSION}")
        return _Decoding([locate(_text(name)) for name in index.files]).decode(index.changes)
    except (msgspec.MsgspecError, IndexError) as error:
        raise Corrupt("the index of a layer is damaged") from error


class _Encoding:
    """One layer on its way to bytes."""

    def __init__(self, place: Callable[[str], str] | Mapping[int, int]) -> None:
        self._place = place
        self._files: dict[str, int] = {} if callable(place) else {OWN_TAR: 0}
        self._renamed: dict[str, str] = {}
        self._seen: dict[int, int] = {}  # at which position a node was first

    def encode(self, layer: Layer) -> bytes:
        # Change by change, since all of them as structures would take several times the memory of their bytes.
        changes = bytearray()
        for position, change in enumerate(layer.changes):
            _encoder.encode_into(self._change(change, position), changes, -1)
        files = _encoder.encode([_bytes(name) for name in self._files])
        head = b"%b%b%b" % (_ARRAY_OF_THREE, _encoder.encode(_VERSION), files)
        return b"".join((head, _ARRAY_HEAD.pack(_ARRAY_32, len(layer.changes)), changes))

    def _change(self, change: Change, position: int) -> _Change:
        path = _bytes(change.path)
        if isinstance(change, Whiteout):
            return _Whiteout(path)
        if isinstance(change, Opaque):
            return _Opaque(path)
        if isinstance(change.node, Directory):
            return _Directory(path, *_inode(change.node))
        original = self._seen.setdefault(id(change.node), position)
        return self._put(change, path) if original == position else _Link(path, original)

    def _put(self, change: Put, path: bytes) -> _Change:
        node = change.node
        inode = _inode(node)
        match node:
            case File():
                content = node.content
                file, offset = self._extent(change.path, node)
                return _File(path, *inode, bytes.fromhex(content.digest.encoded), content.size, file, offset)
            case Symlink():
                return _Symlink(path, *inode, _bytes(node.target))
            case Device():
                return _Device(path, *inode, node.kind == "block", node.major, node.minor)
            case _:
                return _Fifo(path, *inode)

    def _extent(self, path: str, node: File) -> tuple[int, int | None]:
        if not callable(self._place):
            return 0, self._place[id(node)]
        extent = node.content.extent
        name = self._renamed.get(extent.path)
        if name is None:
            name = self._renamed[extent.path] = self._place(extent.path)
        offset: int | None = extent.offset
        if not offset and name.endswith(f"/{path}"):
            name, offset = name[: -1 - len(path)], None
        return self._files.setdefault(name, len(self._files)), offset


class _Decoding:
    """One layer on its way back."""

    def __init__(self, files: list[str]) -> None:
        self._files = files

    def decode(self, encoded: tuple[_Change, ...]) -> Layer:
        changes: list[Change] = []
        for change in encoded:
            path = _text(change.path)
            if isinstance(change, _Whiteout):
                changes.append(Whiteout(path))
            elif isinstance(change, _Opaque):
                changes.append(Opaque(path))
            elif isinstance(change, _Link):
                changes.append(Put(path, _original(changes, change.original)))
            else:
                changes.append(Put(path, self._node(change, path)))
        return Layer(tuple(changes))

    def _node(self, inode: _Directory | _File | _Symlink | _Device | _Fifo, path: str) -> Node:
        xattrs = {_text(name): value for name, value in inode.xattrs} if inode.xattrs else _NO_XATTRS
        mode, uid, gid, mtime_ns = inode.mode, inode.uid, inode.gid, inode.mtime_ns
        match inode:
            case _File():
                content = self._content(inode, path)
                return File(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs, content=content)
            case _Directory():
                return Directory(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
            case _Symlink():
                target = _text(inode.target)
                return Symlink(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs, target=target)
            case _Fifo():
                return Fifo(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
            case _:
                return Device(
                    mode=mode,
                    uid=uid,
                    gid=gid,
                    mtime_ns=mtime_ns,
                    xattrs=xattrs,
                    kind="block" if inode.block else "character",
                    major=inode.major,
                    minor=inode.minor,
                )

    def _content(self, file: _File, path: str) -> Content:
        name = self._files[file.file]
        extent = Extent(f"{name}/{path}") if file.offset is None else Extent(name, file.offset)
        return Content(Digest(file.digest.hex()), file.size, extent)


def _original(changes: list[Change], position: int) -> Node:
    change = changes[position]
    if not isinstance(change, Put):
        raise Corrupt("the index of a layer is damaged")
    return change.node


def _inode(node: Node) -> tuple[int, int, int, int, tuple[tuple[bytes, bytes], ...]]:
    xattrs = tuple((_bytes(name), value) for name, value in node.xattrs.items()) if node.xattrs else ()
    return node.mode, node.uid, node.gid, node.mtime_ns, xattrs


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
