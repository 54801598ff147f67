"""A layer while it is being put together on top of a tree."""

from collections.abc import Iterator

from imagewright.filesystem.difference import bare
from imagewright.filesystem.layer import Layer, Put
from imagewright.filesystem.links import follow
from imagewright.filesystem.tree import Directory, Node, Tree, in_order

__all__ = ["Draft", "DraftDirectory"]


class DraftDirectory:
    """A directory that the layer will put: its metadata, its changed children, and what of it is there `below`."""

    __slots__ = ("below", "children", "node")

    def __init__(self, node: Directory, below: Directory | None) -> None:
        self.node = node
        self.below = below
        self.children: dict[str, DraftDirectory | Node] = {}

    def child(self, name: str) -> "DraftDirectory | Node | None":
        """Return what is called `name` now: as drafted, else as it is below."""
        drafted = self.children.get(name)
        if drafted is None and self.below is not None:
            return self.below.children.get(name)
        return drafted

    def open(self, name: str, node: Directory | None, made: Directory) -> "DraftDirectory":
        """Return the directory `name`, to change it: with the metadata of `node`; if None those it has, else `made`'s.

        Anything else of that name is replaced.
        """
        there = self.child(name)
        if isinstance(there, DraftDirectory):
            if node is not None:
                there.node = node
            return there
        below = there if isinstance(there, Directory) else None
        opened = DraftDirectory(node or below or made, below)
        self.children[name] = opened
        return opened


Drafted = DraftDirectory | Node


class Draft:
    """The changes made so far to `tree`."""

    def __init__(self, tree: Tree) -> None:
        self.root = DraftDirectory(tree, tree)

    def find(self, path: str) -> Drafted | None:
        """Return what is at `path` now, following no link."""
        here: Drafted | None = self.root
        for name in path.split("/") if path else ():
            here = None if here is None else _child(here, name)
        return here

    def resolve(self, path: str, scope: str) -> str:
        """Return where `path` leads to below the directory `scope`, out of which no link goes; relative to it."""
        root = self.find(scope)
        return path if root is None else follow(root, path, _child)

    def open(self, path: str, made: Directory) -> DraftDirectory:
        """Return the directory `path`, to change it; it and its parents are made like `made` where they are missing."""
        here = self.root
        for name in path.split("/") if path else ():
            here = here.open(name, None, made)
        return here

    def finish(self) -> Layer:
        """Return the layer of all changes, in canonical order."""
        puts: list[Put] = []
        stack = [_children("", self.root)]
        while stack:
            for path, drafted in stack[-1]:
                if isinstance(drafted, DraftDirectory):
                    puts.append(Put(path, bare(drafted.node)))
                    stack.append(_children(f"{path}/", drafted))
                    break
                puts.append(Put(path, drafted))
            else:
                stack.pop()
        return Layer(tuple(puts))


def _child(node: Drafted, name: str) -> Drafted | None:
    if isinstance(node, DraftDirectory):
        return node.child(name)
    return node.children.get(name) if isinstance(node, Directory) else None


def _children(prefix: str, directory: DraftDirectory) -> Iterator[tuple[str, Drafted]]:
    return iter([(prefix + name, directory.children[name]) for name in in_order(directory.children)])
