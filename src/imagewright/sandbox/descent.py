"""A place in a directory on disk, reached step by step through descriptors."""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

__all__ = ["Descent"]

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Descriptors are scarce and directories may be thousands deep; the outermost are given back and opened again.
_MOST_OPEN = 64


class Descent:
    """Where one is below `directory`; the kernel never resolves more than one name at a time, and no link.

    `here` is a descriptor of the directory one is in, valid until the next `enter` or `leave`. Every method raises
    `OSError`; a link or file in the place of a directory is ENOTDIR.
    """

    def __init__(self, directory: str) -> None:
        self._names: list[str] = []
        self._descriptors = [os.open(directory, _FLAGS)]

    @property
    def here(self) -> int:
        """A descriptor of the directory one is in."""
        return self._descriptors[-1]

    @property
    def depth(self) -> int:
        """How many directories below the start one is."""
        return len(self._names)

    def enter(self, name: str) -> None:
        """Go down into the directory `name`."""
        self._descriptors.append(os.open(name, _FLAGS, dir_fd=self.here))
        self._names.append(name)
        outer = self.depth - _MOST_OPEN
        if outer > 0 and self._descriptors[outer] >= 0:
            os.close(self._descriptors[outer])
            self._descriptors[outer] = -1

    def leave(self) -> None:
        """Go up again."""
        left = self._descriptors.pop()
        self._names.pop()
        try:
            if self.here < 0:
                # Nobody else moves directories here, so the one above is the one that we came through.
                self._descriptors[-1] = os.open("..", _FLAGS, dir_fd=left)
        finally:
            os.close(left)

    def open(self, names: Sequence[str]) -> int:
        """Return a descriptor of the directory at `names` below the start; the caller closes it."""
        descriptor = os.dup(self._descriptors[0])
        for name in names:
            try:
                below = os.open(name, _FLAGS, dir_fd=descriptor)
            finally:
                os.close(descriptor)
            descriptor = below
        return descriptor

    def close(self) -> None:
        """Close every descriptor; idempotent."""
        while self._descriptors:
            descriptor = self._descriptors.pop()
            if descriptor >= 0:
                os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
