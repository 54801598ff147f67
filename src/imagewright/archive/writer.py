"""Writing tar: layers in a canonical form, and plain archives."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from imagewright.archive.content import ContentReader
from imagewright.archive.stream import Writable
from imagewright.filesystem.layer import Layer
from imagewright.oci import Digest

__all__ = ["Member", "layer_size", "write_layer", "write_members"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a plain archive: `data` in one piece or several, `size` bytes in all (-1: the length of one piece)."""

    path: str
    kind: Literal["file", "directory", "symlink"] = "file"
    data: bytes | Iterable[bytes] = b""
    size: int = -1
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0


def write_layer(layer: Layer, out: Writable, *, read: ContentReader | None = None) -> Digest:
    """Write `layer` to `out` as an uncompressed tar in canonical form, and return its diff_id.

    Equal layers give equal bytes. `read` gives the bytes of contents; by default they are read through their extents.
    Raises `Corrupt` if a content has not the size it promises, and `InvalidInput` for a name that a layer cannot hold
    (`.wh.` at its beginning means something else there).
    """
    raise NotImplementedError


def write_members(members: Iterable[Member], out: Writable) -> None:
    """Write an uncompressed tar of `members`, in their order, to `out`."""
    raise NotImplementedError


def layer_size(layer: Layer) -> int:
    """Return the bytes of all contents of `layer`, hard links once: the size that image lists show."""
    raise NotImplementedError
