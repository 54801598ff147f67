"""The members of a tar stream, one after the other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.stream import Readable

__all__ = ["Entry", "Kind", "read_entries"]

Kind = Literal["file", "directory", "symlink", "link", "character", "block", "fifo"]


@dataclass(slots=True, eq=False)
class Entry:
    """One member, as the archive has it: `path` and `link` are raw, neither cleaned nor checked.

    `size` is the number of bytes of content, holes included; `mode` the permission bits with setuid, setgid, sticky.
    `offset` is where the stored content begins in the stream. `holes` is None, or for a sparse member the stored
    segments `(offset, size)` in the content, in order.
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
    segments: tuple[tuple[int, int], ...] | None

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the content in pieces, holes as zeros; once, and before the next entry is asked for."""
        raise NotImplementedError

    def read(self, limit: int) -> bytes:
        """Return the content whole; raises `InvalidInput` if it is longer than `limit` bytes."""
        raise NotImplementedError


def read_entries(stream: Readable, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Entry]:
    """Yield the members of the uncompressed tar `stream`, in order, and read it to its end.

    Reads v7, ustar, GNU (long names, base-256 numbers, sparse) and PAX (with global headers, `SCHILY.xattr.`, and
    sparse 0.0, 0.1, 1.0). Missing end blocks and a cut last padding are accepted, as other readers do; anything else
    that is cut raises `InvalidInput` "unexpected EOF", anything that is no tar "archive/tar: invalid tar header".
    """
    raise NotImplementedError
