"""Reading an overlayfs upper directory as a layer."""

from imagewright.filesystem.layer import Layer
from imagewright.filesystem.tree import Tree

__all__ = ["capture"]


def capture(upper: str, parent: Tree) -> Layer:
    """Return the changes that `upper` makes to `parent`, in canonical order; extents point into `upper`.

    What overlayfs copied up and nobody changed is no change. Sockets are left out. Raises `SystemFailure` if the
    directory cannot be read.
    """
    raise NotImplementedError
