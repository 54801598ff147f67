"""Files that keep an archive as it streams by."""

import hashlib
import os
from types import TracebackType
from typing import Self

from imagewright.archive.entries import Entry
from imagewright.errors import SystemFailure
from imagewright.filesystem.tree import Content, Extent
from imagewright.oci import Digest

__all__ = ["Spool"]

_ALIGNMENT = 4096


class Spool:
    """A new file at `path` that receives an uncompressed tar, so that extents can point into it; a context manager.

    Beside it, `sparse_path` is made if the tar has sparse members, and holds their content with real holes.
    Closing keeps both files: they belong to the caller, who may rename them (and then tells `encode_index`).
    Raises `SystemFailure` where the disk does not take the bytes, or something is at `path` already: `keeping` says in
    its message what that was about.
    """

    def __init__(self, path: str, *, keeping: str = "the archive") -> None:
        self._keeping = keeping
        self.path = path
        self.sparse_path = f"{path}.sparse"
        self._size = 0
        self._sparse_size = 0
        self._sparse_file = -1
        self._file = _create(path, keeping)

    @property
    def size(self) -> int:
        """How many bytes of tar have been written."""
        return self._size

    @property
    def sparse(self) -> bool:
        """Whether there is a file at `sparse_path`."""
        return self._sparse_size > 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        _write(self._file, data, self._size, self._keeping)
        self._size += len(data)

    def keep(self, entry: Entry) -> Content:
        """Return the content of the file `entry`, whose stored bytes are, or will be, in this spool."""
        whole = entry.whole()
        if whole is not None:
            return Content(Digest(hashlib.sha256(whole).hexdigest()), entry.size, Extent(self.path, entry.offset))
        digest = hashlib.sha256()
        if entry.segments is None:
            for piece in entry.pieces():
                digest.update(piece)
            return Content(Digest(digest.hexdigest()), entry.size, Extent(self.path, entry.offset))
        start = self._sparse_size + -self._sparse_size % _ALIGNMENT
        if self._sparse_file < 0:
            self._sparse_file = _create(self.sparse_path, self._keeping)
        at = start
        for piece, stored in entry.pieces_with_holes():
            digest.update(piece)
            if stored:
                _write(self._sparse_file, piece, at, self._keeping)
            at += len(piece)
        self._sparse_size = max(at, start + 1)
        _truncate(self._sparse_file, self._sparse_size, self._keeping)
        return Content(Digest(digest.hexdigest()), entry.size, Extent(self.sparse_path, start))

    def sync(self) -> None:
        """Return once both files are on the disk."""
        try:
            os.fsync(self._file)
            if self._sparse_file >= 0:
                os.fsync(self._sparse_file)
        except OSError as error:
            raise _failure(error, self._keeping) from error

    def close(self) -> None:
        """Close the files; idempotent."""
        open_files = (self._file, self._sparse_file)
        self._file = self._sparse_file = -1
        for fd in open_files:
            if fd >= 0:
                _close(fd, self._keeping)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _create(path: str, keeping: str) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _failure(error, keeping) from error


def _write(fd: int, data: bytes | memoryview, offset: int, keeping: str) -> None:
    try:
        written = os.pwrite(fd, data, offset)
        while written < len(data):  # a signal or a full disk cut it short; the next try says which
            written += os.pwrite(fd, memoryview(data)[written:], offset + written)
    except OSError as error:
        raise _failure(error, keeping) from error


def _truncate(fd: int, size: int, keeping: str) -> None:
    try:
        os.ftruncate(fd, size)
    except OSError as error:
        raise _failure(error, keeping) from error


def _close(fd: int, keeping: str) -> None:
    try:
        os.close(fd)
    except OSError as error:
        raise _failure(error, keeping) from error


def _failure(error: OSError, keeping: str) -> SystemFailure:
    return SystemFailure(f"cannot keep {keeping}: {os.strerror(error.errno or 0)}")
