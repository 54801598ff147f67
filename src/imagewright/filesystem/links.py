"""Symbolic links, followed inside a tree and never out of it."""

from imagewright.filesystem.tree import Tree

__all__ = ["resolve"]


def resolve(tree: Tree, path: str, *, follow_last: bool = True) -> str:
    """Return the path, in the form of tree paths, that `path` leads to when `tree` is the whole world.

    `path` may be absolute or relative to the root, with `.`, `..`, doubled and trailing slashes. `..` at the root stays
    there, and so does an absolute link. Components that do not exist, or lie below something that is no directory, are
    kept as they are. With `follow_last` false the last component is not followed. Raises `InvalidInput` after 255 links.
    """
    raise NotImplementedError
