"""Reading a directory on disk as nodes, with what overlayfs wrote in it."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256

from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink
from imagewright.oci import Digest
from imagewright.sandbox.attributes import OPAQUE, read_xattrs
from imagewright.sandbox.descent import Descent

__all__ = ["Found", "Scan"]

_PIECE = 1 << 20
_LONGEST_PATH = 4096
# Never waits: should a FIFO be there, it is not what was looked at.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Found:
    """A directory of the upper directory: its metadata, and what is in it; None for what hides a name below.

    `opaque`: nothing of a directory below shows through.
    """

    node: Directory
    opaque: bool
    entries: "dict[str, Found | Node | None]" = field(default_factory=dict)


class Scan:
    """Reads everything below a directory; names of one inode get one node.

    `linked` has the nodes of inodes with several names, by inode number, each with its paths in the order of reading.
    """

    def __init__(self, descent: Descent, upper: str, cancellation: Cancellation) -> None:
        self._descent = descent
        self._upper = upper
        self._cancellation = cancellation
        self._buffer = bytearray(_PIECE)
        self.linked: dict[int, tuple[Node, list[str]]] = {}

    def run(self) -> Found:
        """Return what there is; raises `OSError`, `Cancelled`, and `InvalidInput` for a path that is too long."""
        root = self._open_directory(os.fstat(self._descent.here))
        stack = [("", root, self._list())]
        while stack:
            prefix, found, entries = stack[-1]
            for name, status in entries:
                path = prefix + name
                if stat.S_ISDIR(status.st_mode):
                    if len(os.fsencode(path)) > _LONGEST_PATH:
                        raise InvalidInput(f"a RUN left a path of more than {_LONGEST_PATH} bytes")
                    self._descent.enter(name)
                    below = self._open_directory(status)
                    found.entries[name] = below
                    stack.append((f"{path}/", below, self._list()))
                    break
                found.entries[name] = self._read(path, name, status)
            else:
                stack.pop()
                if stack:
                    self._descent.leave()
        return root

    def _list(self) -> Iterator[tuple[str, os.stat_result]]:
        self._cancellation.check()
        with os.scandir(self._descent.here) as entries:
            return iter([(entry.name, entry.stat(follow_symlinks=False)) for entry in entries])

    def _open_directory(self, status: os.stat_result) -> Found:
        here = self._descent.here
        names = os.listxattr(here)
        node = Directory(
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            xattrs=read_xattrs(here) if names else {},
        )
        return Found(node, OPAQUE in names and os.getxattr(here, OPAQUE) == b"y")

    def _read(self, path: str, name: str, status: os.stat_result) -> Node | None:
        if status.st_nlink == 1:
            return self._read_inode(path, name, status)
        if status.st_ino in self.linked:
            node, paths = self.linked[status.st_ino]
            paths.append(path)
            return node
        made = self._read_inode(path, name, status)
        if made is not None:
            self.linked[status.st_ino] = made, [path]
        return made

    def _read_inode(self, path: str, name: str, status: os.stat_result) -> Node | None:
        kind = stat.S_IFMT(status.st_mode)
        if kind == stat.S_IFREG:
            return self._read_file(path, name, status)
        mode, uid, gid, mtime_ns = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, status.st_mtime_ns
        here = self._descent.here
        if kind == stat.S_IFLNK:
            target = os.readlink(name, dir_fd=here)
            return Symlink(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, target=target)
        if kind == stat.S_IFSOCK or (kind == stat.S_IFCHR and status.st_rdev == 0):
            return None
        xattrs = read_xattrs(f"/proc/self/fd/{here}/{name}")
        if kind == stat.S_IFIFO:
            return Fifo(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=xattrs)
        return Device(
            mode=mode,
            uid=uid,
            gid=gid,
            mtime_ns=mtime_ns,
            xattrs=xattrs,
            kind="block" if kind == stat.S_IFBLK else "character",
            major=os.major(status.st_rdev),
            minor=os.minor(status.st_rdev),
        )

    def _read_file(self, path: str, name: str, status: os.stat_result) -> File:
        descriptor = os.open(name, _READ, dir_fd=self._descent.here)
        try:
            digest, size = self._hash(descriptor, status.st_size)
            xattrs = read_xattrs(descriptor)
        finally:
            os.close(descriptor)
        return File(
            mode=stat.S_IMODE(status.st_mode),
            uid=status.st_uid,
            gid=status.st_gid,
            mtime_ns=status.st_mtime_ns,
            xattrs=xattrs,
            content=Content(digest, size, Extent(f"{self._upper}/{path}")),
        )

    def _hash(self, descriptor: int, expected: int) -> tuple[Digest, int]:
        if expected < _PIECE:
            # One byte more than there should be tells the end; asking for much more costs memory that is given back.
            data = os.read(descriptor, expected + 1)
            if len(data) <= expected:
                return Digest(sha256(data).hexdigest()), len(data)
            os.lseek(descriptor, 0, os.SEEK_SET)
        digest, size, view = sha256(), 0, memoryview(self._buffer)
        while count := os.readv(descriptor, [view]):
            self._cancellation.check()
            digest.update(view[:count])
            size += count
        return Digest(digest.hexdigest()), size
