"""The bytes of a `Content`, wherever they are."""

import io
import os
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

from imagewright.archive.stream import CHUNK
from imagewright.errors import Corrupt, InvalidInput, SystemFailure
from imagewright.filesystem.tree import Content

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["ContentReader", "Contents", "copy_content", "open_content", "read_content"]

# A layer's contents are slices of one spool, or thousands of files that are read once each.
_MOST_OPEN = 16
# Most contents are small, and near the one that was read before, but in the order of names, not of the archive. So they
# come from pieces of the file that are kept, unless they are too far apart for that to be worth it.
_WINDOW = 128 << 10
_WINDOWS = 32
_SMALL = 32 << 10
_NEAR = 256 << 10


class ContentReader(Protocol):
    """Whoever can give the bytes of a content."""

    def __call__(self, content: Content, /) -> Iterator[bytes]:
        """Yield the content's bytes in pieces, exactly `content.size` of them in all."""
        ...


class Contents:
    """Reads contents through their extents, and keeps the few files that it read last open; a context manager.

    Follows no link in the last component of an extent's path. Raises `SystemFailure` where a file cannot be opened or
    read, and `Corrupt` where it has fewer bytes than promised; what the bytes are is not verified here. Not for use
    by several threads at once.
    """

    def __init__(self) -> None:
        self._open: dict[str, int] = {}
        # Of the file that was read last: the windows kept, by their number, and where the last content began.
        self._path = ""
        self._windows: dict[int, bytes] = {}
        self._last = 0

    def pieces(self, content: Content, /) -> Iterator[bytes]:
        """Yield the bytes of `content` in pieces (a `ContentReader`)."""
        size = content.size
        if size <= CHUNK:
            return iter((self.read(content),) if size else ())
        return (self._read(content, at, min(CHUNK, size - at)) for at in range(0, size, CHUNK))

    def read(self, content: Content) -> bytes:
        """Return the bytes of `content`."""
        size, extent = content.size, content.extent
        if not size:
            return b""
        offset = extent.offset
        if extent.path != self._path:
            self._path, self._last = extent.path, offset
            self._windows.clear()
        elif size <= _SMALL:
            number, at = divmod(offset, _WINDOW)
            window = self._windows.get(number)
            if window is None and abs(offset - self._last) <= _NEAR:
                window = self._load(content, number)
            self._last = offset
            if window is not None and at + size <= len(window):
                return window[at : at + size]
        return self._read(content, 0, size)

    def copy(self, content: Content, fd: int) -> None:
        """Write the bytes of `content` to the descriptor `fd`, where it stands."""
        for piece in self.pieces(content):
            try:
                written = os.write(fd, piece)
                while written < len(piece):
                    written += os.write(fd, memoryview(piece)[written:])
            except OSError as error:
                raise SystemFailure(f"cannot write a file: {os.strerror(error.errno or 0)}") from error

    def close(self) -> None:
        """Close what is open; idempotent."""
        while self._open:
            os.close(self._open.popitem()[1])

    def _load(self, content: Content, number: int) -> bytes:
        """Return a window of the file that `content` is in, and keep it."""
        if len(self._windows) >= _WINDOWS:
            del self._windows[next(iter(self._windows))]
        window = self._windows[number] = _pread(self._descriptor(content), _WINDOW, number * _WINDOW)
        return window

    def _read(self, content: Content, start: int, size: int) -> bytes:
        fd = self._descriptor(content)
        data = _pread(fd, size, content.extent.offset + start)
        while len(data) < size:
            more = _pread(fd, size - len(data), content.extent.offset + start + len(data))
            if not more:
                raise Corrupt(f"the bytes of {content.digest} are cut")
            data += more
        return data

    def _descriptor(self, content: Content) -> int:
        path = content.extent.path
        fd = self._open.get(path)
        if fd is None:
            fd = _open(content)
            if len(self._open) >= _MOST_OPEN:
                os.close(self._open.pop(next(iter(self._open))))
            self._open[path] = fd
        return fd

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_content(content: Content) -> BinaryIO:
    """Return the bytes of `content` as a seekable file, to be closed by the caller."""
    return io.BufferedReader(_Slice(content), CHUNK)


def read_content(content: Content, limit: int) -> bytes:
    """Return the bytes of `content`; raises `InvalidInput` if there are more than `limit`."""
    if content.size > limit:
        raise InvalidInput(f"a file of {content.size} bytes is larger than the {limit} that are read of it")
    with Contents() as contents:
        return contents.read(content)


def copy_content(content: Content, fd: int) -> None:
    """Write the bytes of `content` to the descriptor `fd`, where it stands; for many, use one `Contents`."""
    with Contents() as contents:
        contents.copy(content, fd)


class _Slice(io.RawIOBase):
    """Part of a file, as a file."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._at = 0
        self._fd = -1
        self._fd = _open(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        size = max(0, min(len(view), self._content.size - self._at))
        if not size:
            return 0
        data = _pread(self._fd, size, self._content.extent.offset + self._at)
        if not data:
            raise Corrupt(f"the bytes of {self._content.digest} are cut")
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._content.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def close(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
        super().close()


def _open(content: Content) -> int:
    try:
        # Without O_NONBLOCK, a FIFO that somebody put there would stop us for good.
        return os.open(content.extent.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _failure(content, error) from error


def _pread(fd: int, size: int, offset: int) -> bytes:
    try:
        return os.pread(fd, size, offset)
    except OSError as error:
        raise SystemFailure(f"cannot read a file: {os.strerror(error.errno or 0)}") from error


def _failure(content: Content, error: OSError) -> SystemFailure:
    return SystemFailure(f"cannot open the bytes of {content.digest}: {os.strerror(error.errno or 0)}")
