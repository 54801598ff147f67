"""A filesystem state as an immutable value.

A tree is its root `Directory`. Paths are relative to the root, with `/` between names and none at either end; the root
itself is `""`. Names are `str` with undecodable bytes as surrogate escapes, as the `os` module has them.

Two names of one inode (a hard link) are two names bound to the *same object*: compare with `is`. Whoever copies nodes
keeps that identity by copying each object once.

A context has tens of thousands of these, so they are msgspec's structures, made in a tenth of the time that frozen
dataclasses take, and left out of the search for cyclic garbage (`gc=False`), since no value can hold itself.
Nodes are never changed after construction; the mapping given to a `Directory` belongs to it from then on.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from imagewright.oci import Digest

__all__ = [
    "EMPTY",
    "Content",
    "Device",
    "Directory",
    "Extent",
    "Fifo",
    "File",
    "Node",
    "Symlink",
    "Tree",
    "find",
    "in_order",
    "walk",
]

_NO_XATTRS: Mapping[str, bytes] = {}


class Extent(msgspec.Struct, frozen=True, gc=False):
    """Where bytes are: they begin `offset` bytes into the file named `path`, a name that only the edges understand."""

    path: str
    offset: int = 0


class Content(msgspec.Struct, frozen=True, gc=False, eq=False):
    """The bytes of a regular file: what they are (`digest`, `size` in bytes) and where they can be read now.

    Two contents are equal if their bytes are, wherever those are kept.
    """

    digest: Digest
    size: int
    extent: Extent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Content) and self.digest == other.digest and self.size == other.size

    def __hash__(self) -> int:
        return hash((self.digest, self.size))


class _Inode(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What every kind of node has; `mode` is the permission bits with setuid, setgid and sticky, not the type."""

    mode: int
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    xattrs: Mapping[str, bytes] = msgspec.field(default_factory=lambda: _NO_XATTRS)


class File(_Inode, frozen=True, kw_only=True, gc=False):
    """A regular file."""

    content: Content


class Symlink(_Inode, frozen=True, kw_only=True, gc=False):
    """A symbolic link; `target` is as it was written, never resolved."""

    target: str


class Device(_Inode, frozen=True, kw_only=True, gc=False):
    """A block or character device."""

    kind: Literal["block", "character"]
    major: int
    minor: int


class Fifo(_Inode, frozen=True, kw_only=True, gc=False):
    """A named pipe."""


class Directory(_Inode, frozen=True, kw_only=True, gc=False):
    """A directory with its children by name."""

    children: Mapping[str, "Node"] = msgspec.field(default_factory=dict)


Node = File | Symlink | Device | Fifo | Directory
Tree = Directory

EMPTY: Tree = Directory(mode=0o755)


def find(tree: Tree, path: str) -> Node | None:
    """Return the node at `path`, following no link, or None. `""` is the tree itself."""
    node: Node = tree
    if path:
        for name in path.split("/"):
            if not isinstance(node, Directory):
                return None
            child = node.children.get(name)
            if child is None:
                return None
            node = child
    return node


def in_order(names: Iterable[str]) -> list[str]:
    """Return `names` sorted as bytes, whatever the file system they came from believes they spell."""
    ordered = sorted(names)
    # Code points sort as their UTF-8 bytes do; only the surrogates that stand for undecodable bytes are out of place.
    if not all(map(str.isascii, ordered)):
        ordered.sort(key=_as_bytes)
    return ordered


def _as_bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def walk(tree: Tree, prefix: str = "") -> Iterator[tuple[str, Node]]:
    """Yield every node below `tree` with its path (below `prefix`), parents first, names sorted as bytes."""
    stack: list[Iterator[tuple[str, Node]]] = [_children(tree, prefix)]
    while stack:
        for path, node in stack[-1]:
            yield path, node
            if isinstance(node, Directory):
                stack.append(_children(node, path))
                break
        else:
            stack.pop()


def _children(directory: Directory, prefix: str) -> Iterator[tuple[str, Node]]:
    start = f"{prefix}/" if prefix else ""
    return iter([(start + name, directory.children[name]) for name in in_order(directory.children)])
