"""Archives as values: a build context as a tree, an image layer as a layer.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

import hashlib

from imagewright.archive.builder import Builder, clean_names, quote
from imagewright.archive.compression import decompress
from imagewright.archive.entries import Entry, read_entries
from imagewright.archive.follower import Follower
from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.spool import Spool
from imagewright.archive.stream import Readable
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Device, Directory, Fifo, File, Node, Symlink, Tree
from imagewright.oci import Digest

__all__ = ["is_archive", "read_layer", "read_tree"]

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
# What aufs kept for itself in layers of old images: passed over, but hard links may lead into one of its directories.
_AUFS = ".wh..wh."
_AUFS_LINKS = ".wh..wh.plnk"

_MOST_TARGET = 4095

# Set by overlayfs and by the host's policy: neither has a meaning elsewhere, and both could do harm.
_FOREIGN_XATTRS = ("trusted.", "security.selinux")
# In what a user sends, capabilities would be a privilege that nobody granted; the engine drops them too.
_UNTRUSTED_XATTRS = (*_FOREIGN_XATTRS, "security.capability")


def read_tree(stream: Readable, spool: Spool, *, limits: Limits = DEFAULT_LIMITS) -> Tree:
    """Return what the uncompressed tar `stream` would unpack to, its bytes kept in `spool`; reads all of it.

    For build contexts and archives to ADD. Compose with `decompress`. Of two members with one name the later counts;
    names of whiteouts and devices that overlayfs takes for whiteouts are what they are, files and devices. What the
    archive says of its root is passed over. Raises `InvalidInput`; `spool` then holds what had come until then.
    """
    builder = Builder(limits)
    with Follower(spool.write) as follower:
        for entry in read_entries(_Tee(stream, follower), limits=limits):
            path = entry.path
            if entry.kind == "link":
                builder.link(path, entry.link)
            elif not _is_root(path):
                builder.put(path, _node(entry, spool, _UNTRUSTED_XATTRS))
    return builder.tree()


def read_layer(stream: Readable, spool: Spool, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Layer, Digest]:
    """Return the layer that the uncompressed tar `stream` is, and its diff_id, its bytes kept in `spool`; reads all.

    Extended attributes `trusted.*` and `security.selinux` are left out. Hard links must lead to earlier members.
    Raises `InvalidInput`, also for names that begin with `.wh.` and are no whiteout; `spool` then holds what had come
    until then.
    """
    builder = Builder(limits)
    aside = Builder(limits)
    whole = hashlib.sha256()

    def keep(piece: bytes) -> None:
        spool.write(piece)
        whole.update(piece)

    with Follower(keep) as follower:
        for entry in read_entries(_Tee(stream, follower), limits=limits):
            _change(entry, spool, builder, aside)
    return builder.layer(), Digest(whole.hexdigest())


def is_archive(stream: Readable) -> bool:
    """Whether `stream` begins as a tar with a member, compressed or not: what ADD unpacks."""
    try:
        return next(read_entries(decompress(stream)), None) is not None
    except InvalidInput:
        return False


def _is_root(path: str) -> bool:
    return not path.strip("./") and not clean_names(path)


class _Tee:
    """A stream that hands a copy of what is read to a follower."""

    def __init__(self, stream: Readable, follower: Follower) -> None:
        self._stream = stream
        self._follower = follower

    def read(self, n: int, /) -> bytes:
        data = self._stream.read(n)
        if data:
            self._follower.feed(data)
        return data


def _change(entry: Entry, spool: Spool, builder: Builder, aside: Builder) -> None:
    """Put one member of a layer into `builder`, or into `aside` what aufs kept for itself."""
    if _WHITEOUT in entry.path and _remove(entry, spool, builder, aside):
        return
    if entry.kind == "link":
        among = aside if entry.link.startswith(_AUFS_LINKS) else builder
        builder.link(entry.path, entry.link, among=among)
    else:
        builder.put(entry.path, _node(entry, spool, _FOREIGN_XATTRS))


def _remove(entry: Entry, spool: Spool, builder: Builder, aside: Builder) -> bool:
    """Carry out a whiteout; return False if `entry` is none, but an ordinary member after all."""
    names = clean_names(entry.path)
    if not any(name.startswith(_WHITEOUT) for name in names):
        return False
    *directory, name = names
    if name == _OPAQUE and not any(parent.startswith(_WHITEOUT) for parent in directory):
        builder.opaque("/".join(directory))
    elif names[0].startswith(_AUFS):
        if names[0] == _AUFS_LINKS and entry.kind == "file":
            aside.put("/".join(names), _node(entry, spool, _FOREIGN_XATTRS))
    else:
        removed = name.removeprefix(_WHITEOUT)
        misplaced = any(parent.startswith(_WHITEOUT) for parent in directory)
        if misplaced or removed in {"", ".", "..", name} or removed.startswith(_WHITEOUT):
            raise InvalidInput(f"{quote(entry.path)}: invalid whiteout")
        builder.whiteout("/".join([*directory, removed]))
    return True


def _node(entry: Entry, spool: Spool, refused: tuple[str, ...]) -> Node:
    """Return the node that `entry`, which is no hard link, describes; its bytes are kept in `spool`."""
    xattrs = entry.xattrs
    if xattrs:
        xattrs = {name: value for name, value in xattrs.items() if not name.startswith(refused)}
    mode, uid, gid, mtime_ns = entry.mode, entry.uid, entry.gid, entry.mtime_ns
    match entry.kind:
        case "file":
            content = spool.keep(entry)
            return File(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs, content=content)
        case "directory":
            return Directory(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
        case "symlink":
            # Linux gives symbolic links no permissions of their own; archives say this and that.
            target = _check_target(entry)
            return Symlink(mode=0o777, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs, target=target)
        case "fifo":
            return Fifo(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
        case _:
            return Device(
                mode=mode,
                uid=uid,
                gid=gid,
                mtime_ns=mtime_ns,
                xattrs=xattrs,
                kind="block" if entry.kind == "block" else "character",
                major=entry.major,
                minor=entry.minor,
            )


def _check_target(entry: Entry) -> str:
    """Return the target of a symbolic link; raises `InvalidInput` if the kernel would not take it."""
    if not entry.link:
        raise InvalidInput(f'symlink "" {quote(entry.path)}: no such file or directory')
    if len(entry.link.encode("utf-8", "surrogateescape")) > _MOST_TARGET:
        raise InvalidInput(f"symlink {quote(entry.link)} {quote(entry.path)}: file name too long")
    return entry.link
