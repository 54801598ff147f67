"""Archives as values: a build context as a tree, an image layer as a layer."""

from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.spool import Spool
from imagewright.archive.stream import Readable
from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Tree
from imagewright.oci import Digest

__all__ = ["is_archive", "read_layer", "read_tree"]


def read_tree(stream: Readable, spool: Spool, *, limits: Limits = DEFAULT_LIMITS) -> Tree:
    """Return what the uncompressed tar `stream` would unpack to, its bytes kept in `spool`; reads all of it.

    For build contexts and archives to ADD. Compose with `decompress`. Raises `InvalidInput`; the spool then holds
    what had come until then.
    """
    raise NotImplementedError


def read_layer(stream: Readable, spool: Spool, *, limits: Limits = DEFAULT_LIMITS) -> tuple[Layer, Digest]:
    """Return the layer that the uncompressed tar `stream` is, and its diff_id, its bytes kept in `spool`; reads all."""
    raise NotImplementedError


def is_archive(stream: Readable) -> bool:
    """Whether `stream` begins as a tar with a member, compressed or not: what ADD unpacks."""
    raise NotImplementedError
