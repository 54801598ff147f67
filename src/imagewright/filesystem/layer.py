"""A layer as a value: changes to a tree.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from collections.abc import Iterable, Mapping

import msgspec

from imagewright.filesystem.tree import Node

__all__ = ["Change", "Layer", "Opaque", "Put", "Whiteout", "arrange"]


class Put(msgspec.Struct, frozen=True, gc=False):
    """`path` becomes `node`. A directory put over a directory keeps the children it has.

    A directory node in a Put has no children of its own: they are changes of their own. Puts that share one node
    object are hard links to each other.
    """

    path: str
    node: Node


class Whiteout(msgspec.Struct, frozen=True, gc=False):
    """Whatever was at `path` in lower layers is gone."""

    path: str


class Opaque(msgspec.Struct, frozen=True, gc=False):
    """Whatever was below the directory `path` in lower layers is gone; the directory itself stays."""

    path: str


Change = Put | Whiteout | Opaque


class Layer(msgspec.Struct, frozen=True, gc=False):
    """Changes in canonical order.

    Parents before their children, and a directory's whole contents before its next sibling; siblings by name (as
    bytes); for one path, Whiteout before Put before Opaque. So whoever applies changes one after the other is right: an
    Opaque's removals come before everything put below it, and concern lower layers only. No path is changed twice by
    the same kind of change; `arrange` brings any changes into this order.

    In a layer made here, every Put, Whiteout and Opaque has a Put for each of its parent directories (not the root),
    carrying that directory's metadata, as overlayfs and every engine have them; a layer made elsewhere may lack those.
    """

    changes: tuple[Change, ...]


_RANKS: Mapping[type, int] = {Whiteout: 0, Put: 1, Opaque: 2}


def arrange(changes: Iterable[Change]) -> Layer:
    """Return `changes` in canonical order; of several changes of one kind to one path, the last one given counts."""
    ranked = {(_key(change.path), _RANKS[type(change)]): change for change in changes}
    return Layer(tuple(ranked[key] for key in sorted(ranked)))


def _key(path: str) -> bytes:
    # With the separator below every other byte, a directory's contents come before its next sibling.
    return path.replace("/", "\0").encode("utf-8", "surrogateescape")
