"""What the sources of a COPY or ADD name in a tree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imagewright.filesystem.tree import Node, Tree
from imagewright.oci import Digest

__all__ = ["Selected", "digest_selection", "select"]


@dataclass(frozen=True, slots=True)
class Selected:
    """One thing to copy: `node`, found at `path` in the source, to be called `name` where a name is needed.

    A directory stands for its contents. With `archive`, the tree that the bytes of `node` hold is unpacked in its place
    (ADD). Whoever has a file from elsewhere (a URL, a here-document) makes a Selected for it with `path` = its name.
    """

    path: str
    name: str
    node: Node
    archive: Tree | None = None


def select(sources: Sequence[str], source: Tree, *, instruction: str = "COPY", context: bool = True) -> list[Selected]:
    """Return what `sources` name in `source`, wildcards expanded, links followed inside `source`.

    `context` says that `source` is the build context, not another stage or image: the texts differ, and so does `..`.
    Raises `InvalidInput` with the engine's texts: a name that is not there, a wildcard without a match, a malformed
    wildcard, a path out of the context.
    """
    raise NotImplementedError


def digest_selection(selected: Iterable[Selected], *, owners: bool = True) -> Digest:
    """Return the digest of all that a copy takes over: names, kinds, modes, owners, link targets, xattrs and bytes.

    Times are left out, and so are places (`Selected.path`). Hard links count: linked files differ from equal ones.
    With `owners` false owners are left out too, for a COPY, which replaces them.
    """
    raise NotImplementedError
