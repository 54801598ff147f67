"""Symbolic links, followed inside a tree and never out of it."""

from collections.abc import Callable
from typing import TypeVar

from imagewright.errors import InvalidInput
from imagewright.filesystem.tree import Directory, Node, Symlink, Tree

__all__ = ["clean", "follow", "resolve"]

_Node = TypeVar("_Node")

_MOST_LINKS = 255


def clean(path: str) -> str:
    """Return `path` in the form of tree paths, going by the text alone: `a/../b` is `b`; `..` at the root stays."""
    parts: list[str] = []
    for name in path.split("/"):
        if name == "..":
            del parts[-1:]
        elif name not in {"", "."}:
            parts.append(name)
    return "/".join(parts)


def resolve(tree: Tree, path: str, *, follow_last: bool = True) -> str:
    """Return the path, in the form of tree paths, that `path` leads to when `tree` is the whole world.

    `path` may be absolute or relative to the root, with `.`, `..`, doubled and trailing slashes. `..` at the root stays
    there, and so does an absolute link. Components that do not exist, or lie below something that is no directory, are
    kept as they are. With `follow_last` false the last component is not followed. Raises `InvalidInput` after 255
    links.
    """
    root: Node = tree
    return follow(root, path, _child, follow_last=follow_last)


def follow(root: _Node, path: str, child: Callable[[_Node, str], _Node | None], *, follow_last: bool = True) -> str:
    """Return what `resolve` does, for anything that has links below `root`; `child` says what is where."""
    pending = path.rstrip("/").split("/")[::-1]
    names: list[str] = []
    nodes: list[_Node | None] = [root]
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            if names:
                names.pop()
                nodes.pop()
            continue
        if name in {"", "."}:
            continue
        here = nodes[-1]
        node = None if here is None else child(here, name)
        if isinstance(node, Symlink) and (follow_last or pending):
            links += 1
            if links > _MOST_LINKS:
                raise InvalidInput(f"too many links in /{path.strip('/')}")
            if node.target.startswith("/"):
                names.clear()
                del nodes[1:]
            pending.extend(reversed(node.target.split("/")))
        else:
            names.append(name)
            nodes.append(node)
    return "/".join(names)


def _child(node: Node, name: str) -> Node | None:
    return node.children.get(name) if isinstance(node, Directory) else None
