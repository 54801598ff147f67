"""What makes one tree from another."""

from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Tree

__all__ = ["diff"]


def diff(lower: Tree, upper: Tree) -> Layer:
    """Return the layer that makes `upper` of `lower`: `apply(lower, diff(lower, upper))` is `upper`.

    An equal node is no change, whether or not it is the same object. A directory that differs only in its mtime is no
    change; where something below it changed, it is put with the mtime of `upper`. Names that became linked to each
    other, or are no longer, are changes. The root's own metadata is never a change. Opaque is not used.
    """
    raise NotImplementedError
