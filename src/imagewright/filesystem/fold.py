"""A layer put on a tree."""

from collections.abc import Mapping

from imagewright.filesystem.layer import Layer, Opaque, Put
from imagewright.filesystem.tree import Directory, Node, Tree

__all__ = ["apply"]

_IMPLIED = Directory(mode=0o755)


def apply(tree: Tree, layer: Layer) -> Tree:
    """Return `tree` with the changes of `layer`, sharing with `tree` every directory that `layer` does not touch.

    https://github.com/opencontainers/image-spec/blob/main/layer.md#applying-changesets. A parent directory that the
    layer lacks is kept as it is below, or made 0755, root's, with time 0; where something else is in its place (a
    link, too), it is replaced, as it is with overlayfs. A whiteout of what is not there does nothing.
    """
    fold = _Fold(tree)
    for change in layer.changes:
        if isinstance(change, Put):
            fold.put(change.path, change.node)
        elif isinstance(change, Opaque):
            fold.clear(change.path)
        else:
            fold.remove(change.path)
    return fold.finish()


class _Open:
    """A directory whose children are being changed; `prefix` is what the paths of its children begin with."""

    __slots__ = ("children", "name", "node", "prefix")

    def __init__(self, prefix: str, name: str, node: Directory, children: Mapping[str, Node]) -> None:
        self.prefix = prefix
        self.name = name
        self.node = node
        self.children = dict(children)

    def close(self) -> Directory:
        node = self.node
        return Directory(
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
            mtime_ns=node.mtime_ns,
            xattrs=node.xattrs,
            children=self.children,
        )


class _Fold:
    """The directories from the root to where the last change was, open; canonical order opens each one once."""

    def __init__(self, tree: Tree) -> None:
        self._stack = [_Open("", "", tree, tree.children)]

    def put(self, path: str, node: Node) -> None:
        if not path:
            self._close_to("")
            if isinstance(node, Directory):
                self._stack[0].node = node
            return
        name = self._enter_parent(path)
        here = self._stack[-1]
        if isinstance(node, Directory):
            below = here.children.get(name)
            self._open(name, node, below.children if isinstance(below, Directory) else {})
        else:
            here.children[name] = node

    def clear(self, path: str) -> None:
        self._close_to(path)
        self._enter(path[len(self._stack[-1].prefix) :])
        self._stack[-1].children.clear()

    def remove(self, path: str) -> None:
        self._close_to(path)
        rest = path[len(self._stack[-1].prefix) :]
        *parents, name = rest.split("/")
        here: Node | None = Directory(mode=0, children=self._stack[-1].children)
        for parent in parents:
            here = here.children.get(parent) if isinstance(here, Directory) else None
        if isinstance(here, Directory) and name in here.children:
            self._enter("/".join(parents))
            del self._stack[-1].children[name]

    def finish(self) -> Tree:
        self._close_to("")
        return self._stack[0].close()

    def _enter_parent(self, path: str) -> str:
        """Open the directory that `path` is in, making it if need be; return the last name of `path`."""
        self._close_to(path)
        rest = path[len(self._stack[-1].prefix) :]
        if "/" in rest:
            parent, _, rest = rest.rpartition("/")
            self._enter(parent)
        return rest

    def _enter(self, path: str) -> None:
        for name in path.split("/") if path else ():
            below = self._stack[-1].children.get(name)
            if isinstance(below, Directory):
                self._open(name, below, below.children)
            else:
                self._open(name, _IMPLIED, {})

    def _open(self, name: str, node: Directory, children: Mapping[str, Node]) -> None:
        self._stack.append(_Open(f"{self._stack[-1].prefix}{name}/", name, node, children))

    def _close_to(self, path: str) -> None:
        """Close every open directory that `path` is not below."""
        stack = self._stack
        while not path.startswith(stack[-1].prefix):
            done = stack.pop()
            stack[-1].children[done.name] = done.close()
