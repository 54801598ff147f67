"""Reading an overlayfs upper directory as a layer.

https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories
"""

import os
from collections.abc import Iterator, Mapping

from imagewright.cancellation import Cancellation
from imagewright.errors import SystemFailure
from imagewright.filesystem.layer import Change, Layer, Put, Whiteout
from imagewright.filesystem.tree import Directory, Node, Symlink, Tree, find, in_order
from imagewright.sandbox.descent import Descent
from imagewright.sandbox.scan import Found, Scan

__all__ = ["capture"]

_NOTHING: Mapping[str, Node] = {}


def capture(upper: str, parent: Tree, *, cancellation: Cancellation | None = None) -> Layer:
    """Return the changes that `upper` makes to `parent`, in canonical order; extents point into `upper`.

    They are what `filesystem.diff` finds between `parent` and what the container saw: what overlayfs copied up and
    nobody changed is no change, nor is a directory of which only the mtime differs; an opaque directory becomes the
    whiteouts of what it hides. Names that are linked to each other are put together, unless they were and nothing else
    changed. The metadata of the root is never a change, and sockets are as if they were not there.

    Raises `Cancelled`, `SystemFailure` if the directory cannot be read, and `InvalidInput` for a path of more than 4096
    bytes.
    """
    try:
        with Descent(upper) as descent:
            scan = Scan(descent, upper, cancellation or Cancellation())
            found = scan.run()
    except OSError as error:
        raise SystemFailure(f"cannot read what a RUN left: {os.strerror(error.errno or 0)}") from error
    links = {id(node): _linked_in(parent, node, paths) for node, paths in scan.linked.values()}
    return Layer(tuple(_changes(found, parent, links)))


def _linked_in(parent: Tree, node: Node, paths: list[str]) -> bool:
    """Tell whether `parent` has `node` under all of `paths`, as names of one node."""
    below = find(parent, paths[0])
    return below is not None and _same(below, node) and all(find(parent, path) is below for path in paths)


def _changes(found: Found, parent: Tree, links: Mapping[int, bool]) -> Iterator[Change]:
    """Yield the changes in canonical order: directories only if they or something below them changed.

    `links` tells of each node of several names, by its `id`, whether it is in `parent` just so.
    """
    # The directories above what is compared, and how many of them have been put already.
    ancestors: list[tuple[str, Directory]] = []
    put = 0
    stack = [_pairs("", found, parent.children, hidden=found.opaque)]
    while stack:
        for path, below, above, hidden in stack[-1]:
            changed = _changed(below, above, links)
            if changed:
                yield from (Put(name, node) for name, node in ancestors[put:])
                put = len(ancestors)
                if above is None:
                    yield Whiteout(path)
                else:
                    yield Put(path, above.node if isinstance(above, Found) else above)
            if isinstance(above, Found):
                ancestors.append((path, above.node))
                put += changed
                children = below.children if isinstance(below, Directory) else _NOTHING
                stack.append(_pairs(f"{path}/", above, children, hidden=hidden or above.opaque))
                break
        else:
            stack.pop()
            if ancestors:
                ancestors.pop()
                put = min(put, len(ancestors))


def _pairs(
    prefix: str, found: Found, below: Mapping[str, Node], *, hidden: bool
) -> Iterator[tuple[str, Node | None, Found | Node | None, bool]]:
    """Yield path, what is below it, what is there now; of names that are only below, those that are `hidden`."""
    entries = found.entries
    names = in_order(entries.keys() | below.keys() if hidden else entries)
    return iter([(prefix + name, below.get(name), entries.get(name), hidden) for name in names])


def _changed(below: Node | None, above: Found | Node | None, links: Mapping[int, bool]) -> bool:
    if above is None:
        return below is not None
    if isinstance(above, Found):
        return not isinstance(below, Directory) or _metadata(below) != _metadata(above.node)
    if id(above) in links:
        return not links[id(above)]
    return below is None or not _same(below, above)


def _metadata(node: Directory) -> tuple[object, ...]:
    return node.mode, node.uid, node.gid, node.xattrs


def _same(below: Node, above: Node) -> bool:
    if isinstance(below, Symlink) and isinstance(above, Symlink):
        # A link on disk has no mode and no attributes of its own, whatever an archive said of it.
        return (below.target, below.uid, below.gid, below.mtime_ns) == (
            above.target,
            above.uid,
            above.gid,
            above.mtime_ns,
        )
    return below == above
