"""Writing a layer as a directory that overlayfs can mount."""

from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Tree

__all__ = ["unpack"]


def unpack(layer: Layer, directory: str, parent: Tree) -> None:
    """Write `layer` into `directory` (existing, empty) as an overlayfs layer.

    Directories that the layer needs and does not carry take their metadata from `parent`, the tree below it. Follows no
    link, whatever the layer says. Not atomic, not synced: the caller renames. Raises `InvalidInput` for a layer that
    cannot be written and `SystemFailure` if the machine refuses.
    """
    raise NotImplementedError
