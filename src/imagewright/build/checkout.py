"""A directory of our own as a tree."""

import hashlib
import os
import stat
from collections.abc import Iterator

from imagewright.cancellation import Cancellation
from imagewright.errors import SystemFailure
from imagewright.filesystem import EMPTY, Content, Directory, Extent, File, Node, Put, Symlink, Tree, apply, arrange
from imagewright.oci import Digest

__all__ = ["read_directory"]

_PIECE = 1 << 20


def read_directory(path: str, cancellation: Cancellation) -> Tree:
    """Return what is below the directory `path`, which nobody else may change now; its contents point into it.

    Links are read, never followed. Everything belongs to root. What is no file, directory or link is left out. Raises
    `SystemFailure` and `Cancelled`.
    """
    try:
        return apply(EMPTY, arrange(_walk(path, cancellation)))
    except OSError as error:
        raise SystemFailure(f"cannot read the repository: {os.strerror(error.errno or 0)}") from error


def _walk(path: str, cancellation: Cancellation) -> Iterator[Put]:
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        with os.scandir(os.path.join(path, parent)) as entries:
            for entry in entries:
                cancellation.check()
                name = f"{parent}/{entry.name}" if parent else entry.name
                node = _read(entry)
                if node is not None:
                    yield Put(name, node)
                if isinstance(node, Directory):
                    waiting.append(name)


def _read(entry: os.DirEntry[str]) -> Node | None:
    status = entry.stat(follow_symlinks=False)
    mode, mtime_ns = stat.S_IMODE(status.st_mode), status.st_mtime_ns
    if stat.S_ISDIR(status.st_mode):
        return Directory(mode=mode, mtime_ns=mtime_ns)
    if stat.S_ISLNK(status.st_mode):
        return Symlink(mode=0o777, mtime_ns=mtime_ns, target=os.readlink(entry.path))
    if stat.S_ISREG(status.st_mode):
        return File(mode=mode, mtime_ns=mtime_ns, content=_content(entry.path))
    return None


def _content(path: str) -> Content:
    digest, size = hashlib.sha256(), 0
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return Content(Digest(digest.hexdigest()), size, Extent(path))
