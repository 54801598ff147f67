"""The bytes of a `Content`, wherever they are."""

from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO, Protocol

from imagewright.filesystem.tree import Content

__all__ = ["ContentReader", "Contents", "copy_content", "open_content", "read_content"]


class ContentReader(Protocol):
    """Whoever can give the bytes of a content."""

    def __call__(self, content: Content, /) -> Iterator[bytes]:
        """Yield the content's bytes in pieces, exactly `content.size` of them in all."""
        ...


class Contents:
    """Reads contents through their extents, and keeps the few files that it read last open; a context manager.

    Links are never followed in the last component of an extent's path. Raises `SystemFailure` where a file cannot be opened or read,
    and `Corrupt` where it has fewer bytes than promised. Not for use by several threads at once.
    """

    def __init__(self) -> None:
        raise NotImplementedError

    def pieces(self, content: Content) -> Iterator[bytes]:
        """Yield the bytes of `content` in pieces (a `ContentReader`)."""
        raise NotImplementedError

    def read(self, content: Content) -> bytes:
        """Return the bytes of `content`."""
        raise NotImplementedError

    def copy(self, content: Content, fd: int) -> None:
        """Write the bytes of `content` to the descriptor `fd`, where it stands."""
        raise NotImplementedError

    def close(self) -> None:
        """Close what is open; idempotent."""
        raise NotImplementedError

    def __enter__(self) -> "Contents":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_content(content: Content) -> BinaryIO:
    """Return the bytes of `content` as a seekable file, to be closed by the caller."""
    raise NotImplementedError


def read_content(content: Content, limit: int) -> bytes:
    """Return the bytes of `content`; raises `InvalidInput` if there are more than `limit`."""
    raise NotImplementedError


def copy_content(content: Content, fd: int) -> None:
    """Write the bytes of `content` to the descriptor `fd`; for many, use one `Contents`."""
    raise NotImplementedError
