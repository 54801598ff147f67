"""The memory of processes with all that descend from them, what they share counted once."""

import ctypes
import os
import platform
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

__all__ = ["Watch", "children", "memory"]

_LOOK_SECONDS = 0.25
# kcmp(2), which the C library has no function for.
_SYS_KCMP = {"x86_64": 312, "aarch64": 272}.get(platform.machine())
_KCMP_VM = 1

_libc = ctypes.CDLL(None)


def memory(*roots: int) -> int:
    """Return the bytes that `roots` and their descendants have: the sum of their proportional shares (PSS)."""
    total = 0
    parents = _parents()
    for pid in _descendants(set(roots), parents):
        if _same_memory(pid, parents.get(pid, 0)):
            continue
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
        except OSError:
            continue
    return total << 10


def children() -> set[int]:
    """Return the processes that this one has started and that are still there."""
    own = os.getpid()
    return {pid for pid, parent in _parents().items() if parent == own}


class Watch:
    """Looks at the memory of what `roots` returns, until the block ends; `most` bytes is the most of it."""

    def __init__(self, roots: Callable[[], set[int]]) -> None:
        self.most = 0
        self._roots = roots
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            self.most = max(self.most, memory(*self._roots()))


def _same_memory(pid: int, other: int) -> bool:
    """Return whether both are one address space, which a process has until it becomes another program: vfork(2)."""
    return _SYS_KCMP is not None and _libc.syscall(_SYS_KCMP, pid, other, _KCMP_VM, 0, 0) == 0


def _descendants(roots: set[int], parents: dict[int, int]) -> set[int]:
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return parents
