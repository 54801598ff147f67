"""Layer directories of mount points, made once for all containers whose images are alike there."""

import contextlib
import os
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

from imagewright.sandbox.overlay import describe_mount_points, make_mount_points

__all__ = ["MountPoints"]

_MOST_UNUSED = 8


@dataclass(slots=True)
class _Made:
    directory: str
    users: int = 0


class MountPoints:
    """What `make_mount_points` makes, in `directory` (absolute, made 0700 if missing). Thread-safe.

    Nothing is written to a lower directory, so containers can have one in common.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._made: OrderedDict[Hashable, _Made] = OrderedDict()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shared(self, lowers: Sequence[str]) -> Iterator[str]:
        """Yield a directory for images of the layer directories `lowers`; raise what `make_mount_points` raises."""
        key = describe_mount_points(lowers)
        with self._lock:
            made = self._made.get(key)
            if made is None:
                made = self._made[key] = self._make(lowers)
            self._made.move_to_end(key)
            made.users += 1
        try:
            yield made.directory
        finally:
            with self._lock:
                made.users -= 1
                self._shrink()

    def _make(self, lowers: Sequence[str]) -> _Made:
        os.makedirs(self._directory, 0o700, exist_ok=True)
        made = _Made(f"{self._directory}/{secrets.token_hex(8)}")
        try:
            make_mount_points(made.directory, lowers)
        except BaseException:
            shutil.rmtree(made.directory, ignore_errors=True)
            raise
        return made

    def _shrink(self) -> None:
        unused = [key for key, made in self._made.items() if not made.users]
        for key in unused[: max(0, len(unused) - _MOST_UNUSED)]:
            shutil.rmtree(self._made.pop(key).directory, ignore_errors=True)

    def clear(self) -> None:
        """Remove all, also what an earlier process left; no container may use any."""
        with self._lock:
            self._made.clear()
            shutil.rmtree(self._directory, ignore_errors=True)
