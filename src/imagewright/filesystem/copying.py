"""COPY, ADD and WORKDIR as arithmetic on trees: the one implementation of their rules.

https://docs.docker.com/reference/dockerfile/#copy; where the engines differ, see docs/decisions/0001-layers-are-data.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.filesystem.layer import Layer
from imagewright.filesystem.selection import Selected
from imagewright.filesystem.tree import Tree

__all__ = ["CopyRequest", "copy", "place", "workdir_layer"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRequest:
    """The arguments of a COPY or ADD, variables expanded.

    `target` is as written: its trailing slash counts, and if it is relative it starts at `workdir`. `uid`, `gid` and
    `mode` are those of `--chown` and `--chmod`; None keeps the mode, and makes the owner root (for what an archive
    holds: keeps its owner). `now_ns` is the time of directories made on the way.
    """

    sources: Sequence[str]
    target: str
    workdir: str = "/"
    uid: int | None = None
    gid: int | None = None
    mode: int | None = None
    now_ns: int = 0
    instruction: str = "COPY"
    context: bool = True


def copy(request: CopyRequest, source: Tree, destination: Tree) -> Layer:
    """Return the layer that copies `request.sources`, found in `source`, into `destination`.

    The same as `place(request, select(request.sources, source, ...), destination)`.
    """
    raise NotImplementedError


def place(request: CopyRequest, selected: Sequence[Selected], destination: Tree) -> Layer:
    """Return the layer that puts `selected` into `destination`; `request.sources` is not looked at.

    For ADD, whoever calls sets `Selected.archive` for each file that holds one. Links in `target` are followed inside
    `destination`. Every node in the layer is a new one; hard links among the files of one Selected stay.
    Raises `InvalidInput` with the engine's texts.
    """
    raise NotImplementedError


def workdir_layer(tree: Tree, path: str, uid: int, gid: int, mtime_ns: int) -> Layer:
    """Return the layer that makes the directory `path` and its missing parents, 0755; empty if it is there.

    Raises `InvalidInput` if something on the way is no directory.
    """
    raise NotImplementedError
