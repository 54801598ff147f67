"""Keys of the build cache, and the digest by which equal layers are recognised."""

import hashlib
from collections.abc import Mapping

import msgspec

from imagewright.filesystem import Device, Directory, File, Layer, Node, Opaque, Put, Symlink, Whiteout
from imagewright.oci import Digest

__all__ = ["cache_key", "layer_content"]

_encoder = msgspec.json.Encoder(order="sorted")


def cache_key(leaves: Mapping[str, str]) -> Digest:
    """Return the key that stands for `leaves`: equal leaves, equal key."""
    return Digest.of(_encoder.encode({_text(name): _text(value) for name, value in leaves.items()}))


def layer_content(layer: Layer) -> Digest:
    """Return the digest of `layer` with times left out: two runs that wrote the same have the same.

    Hard links count: which paths share an inode is part of the result.
    """
    state = hashlib.sha256()
    first: dict[int, str] = {}
    for change in layer.changes:
        leaves: tuple[str, ...]
        match change:
            case Whiteout(path):
                leaves = ("whiteout", path)
            case Opaque(path):
                leaves = ("opaque", path)
            case Put(path, node):
                leaves = ("put", path, first.setdefault(id(node), path), *_describe(node))
        state.update(_encoder.encode([_text(leaf) for leaf in leaves]))
    return Digest(state.hexdigest())


def _describe(node: Node) -> tuple[str, ...]:
    xattrs = [part for name in sorted(node.xattrs) for part in (name, node.xattrs[name].hex())]
    owner = (type(node).__name__, f"{node.mode:o}", str(node.uid), str(node.gid), str(len(xattrs)), *xattrs)
    match node:
        case File():
            return (*owner, str(node.content.digest))
        case Symlink():
            return (*owner, node.target)
        case Device():
            return (*owner, node.kind, str(node.major), str(node.minor))
        case Directory():
            return owner
    return owner


def _text(value: str) -> str:
    """Return `value` byte by byte, so that names that are no UTF-8 can stand in JSON and differ from all others."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
