"""What makes one tree from another."""

from collections.abc import Iterator

from imagewright.filesystem.layer import Change, Layer, Put, Whiteout
from imagewright.filesystem.tree import Directory, Node, Tree, find, in_order, walk

__all__ = ["bare", "diff"]


def diff(lower: Tree, upper: Tree) -> Layer:
    """Return the layer that makes `upper` of `lower`; `apply` is its inverse.

    An equal node is no change, whether or not it is the same object. A directory that differs only in its mtime is no
    change; where something below it changed, it is put with the mtime of `upper`. Names that became linked to each
    other, or are no longer, are changes. The root's own metadata is never a change. Opaque is not used.
    """
    links = _Links(lower, upper)
    changes: list[Change] = []
    # The ancestors of what is compared now: their paths, and whether they are among the changes already.
    ancestors: list[tuple[str, Directory]] = []
    put = 0
    stack = [_pairs("", lower, upper)]
    while stack:
        for path, below, above in stack[-1]:
            descend = isinstance(above, Directory) and not (below is above and links.none)
            if not _same(below, above, links):
                changes.extend(Put(name, bare(node)) for name, node in ancestors[put:])
                put = len(ancestors)
                changes.append(Whiteout(path) if above is None else Put(path, bare(above)))
                if descend:
                    put += 1
            if descend and isinstance(above, Directory):
                ancestors.append((path, above))
                stack.append(_pairs(f"{path}/", below, above))
                break
        else:
            stack.pop()
            if ancestors:
                ancestors.pop()
                put = min(put, len(ancestors))
    return Layer(tuple(changes))


def bare(node: Node) -> Node:
    """Return `node` as a Put has it: a directory without its children, anything else itself."""
    if not isinstance(node, Directory):
        return node
    return Directory(mode=node.mode, uid=node.uid, gid=node.gid, mtime_ns=node.mtime_ns, xattrs=node.xattrs)


def _pairs(prefix: str, lower: Node | None, upper: Directory) -> Iterator[tuple[str, Node | None, Node | None]]:
    below = lower.children if isinstance(lower, Directory) else {}
    above = upper.children
    return iter([(prefix + name, below.get(name), above.get(name)) for name in in_order(below.keys() | above.keys())])


class _Links:
    """Which names are hard links to each other, in the lower tree and in the upper one."""

    def __init__(self, lower: Tree, upper: Tree) -> None:
        self._lower_tree = lower
        self._lower = _linked(lower)
        self._upper = _linked(upper)
        self._claims: dict[int, int] = {}
        self.none = not self._lower and not self._upper

    def unchanged(self, below: Node, above: Node) -> bool:
        """Tell whether the upper node, equal to the lower one, has its names among the lower one's names.

        Where the names of one lower node belong to several upper nodes, the first that asks has it.
        """
        names = self._upper.get(id(above), ())
        if any(find(self._lower_tree, name) is not below for name in names):
            return False
        return id(below) not in self._lower or self._claims.setdefault(id(below), id(above)) == id(above)


def _linked(tree: Tree) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for path, node in walk(tree):
        if not isinstance(node, Directory):
            names.setdefault(id(node), []).append(path)
    return {key: paths for key, paths in names.items() if len(paths) > 1}


def _same(below: Node | None, above: Node | None, links: _Links) -> bool:
    if isinstance(below, Directory) and isinstance(above, Directory):
        mine = (below.mode, below.uid, below.gid, below.xattrs)
        return mine == (above.mode, above.uid, above.gid, above.xattrs)
    if below is None or above is None:
        return False
    return below == above and links.unchanged(below, above)
