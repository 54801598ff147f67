"""`.dockerignore`.

https://docs.docker.com/build/concepts/context/#dockerignore-files
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from imagewright.filesystem.tree import Tree

__all__ = ["IgnorePatterns"]


@dataclass(frozen=True, slots=True)
class IgnorePatterns:
    """The patterns of a `.dockerignore`, in order, cleaned; the last one that matches a path or a parent of it decides."""

    patterns: tuple[str, ...]

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Return the patterns of a whole `.dockerignore` file."""
        raise NotImplementedError

    @classmethod
    def parse(cls, lines: Iterable[str]) -> Self:
        """Return the patterns of the lines of a `.dockerignore`; raise `InvalidInput` for a malformed one."""
        raise NotImplementedError

    def ignored(self, path: str) -> bool:
        """Tell whether `path`, in the form of tree paths, is left out. Directories and files are not told apart."""
        raise NotImplementedError

    def prune(self, tree: Tree) -> Tree:
        """Return `tree` without what is ignored; an ignored directory stays if something in it is not."""
        raise NotImplementedError
