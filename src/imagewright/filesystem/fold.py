"""A layer put on a tree."""

from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Tree

__all__ = ["apply"]


def apply(tree: Tree, layer: Layer) -> Tree:
    """Return `tree` with the changes of `layer`, sharing with `tree` every directory that `layer` does not touch.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets. A parent directory that the
    layer lacks is kept as it is below, or made 0755, root's, with time 0; where something else is in its place (a
    link, too), it is replaced, as it is with overlayfs. A whiteout of what is not there does nothing.
    """
    raise NotImplementedError
