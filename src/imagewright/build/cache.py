"""Keys of the build cache, and the digest by which equal layers are recognised."""

import hashlib
from collections.abc import Mapping

import msgspec

from imagewright.filesystem import Device, File, Layer, Node, Opaque, Put, Symlink, Whiteout
from imagewright.oci import Digest

__all__ = ["cache_key", "layer_content"]

_encoder = msgspec.json.Encoder(order="sorted")
_AT_ONCE = 1000


def cache_key(leaves: Mapping[str, str]) -> Digest:
    """Return the key that stands for `leaves`: equal leaves, equal key."""
    return Digest.of(_encoder.encode({_text(name): _text(value) for name, value in leaves.items()}))


def layer_content(layer: Layer) -> Digest:
    """Return the digest of `layer` with times left out: two runs that wrote the same have the same.

    Hard links count: which paths share an inode is part of the result.
    """
    state = hashlib.sha256()
    first: dict[int, str] = {}
    lines: list[str] = []
    for change in layer.changes:
        match change:
            case Put(path, node):
                original = first.setdefault(id(node), path)
                same = "" if original is path else original
                lines.append(f"put {len(path)} {path} {len(same)} {same} {_describe(node)}\n")
            case Whiteout(path):
                lines.append(f"whiteout {len(path)} {path}\n")
            case Opaque(path):
                lines.append(f"opaque {len(path)} {path}\n")
        if len(lines) >= _AT_ONCE:
            state.update("".join(lines).encode("utf-8", "surrogateescape"))
            lines.clear()
    state.update("".join(lines).encode("utf-8", "surrogateescape"))
    return Digest(state.hexdigest())


def _describe(node: Node) -> str:
    """Return all of `node` but its time, unambiguously: lengths go before whatever may hold anything."""
    value = ""
    match node:
        case File():
            value = node.content.digest.encoded
        case Symlink():
            value = f"{len(node.target)} {node.target}"
        case Device():
            value = f"{node.kind} {node.major} {node.minor}"
    text = f"{type(node).__name__} {node.mode:o} {node.uid} {node.gid} {value}"
    for name in sorted(node.xattrs) if node.xattrs else ():
        text += f" {len(name)} {name} {node.xattrs[name].hex()}"
    return text


def _text(value: str) -> str:
    """Return `value` byte by byte, so that names that are no UTF-8 can stand in JSON and differ from all others."""
    return value.encode("utf-8", "surrogateescape").decode("latin-1")
