"""Control groups: finding those of a container, emptying and removing them; versions 1, 2 and both at once."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Hierarchies", "find_hierarchies", "parse_hierarchies"]

# Time for the kernel to finish processes that were killed; processes in uninterruptible sleep may need all of it.
_PATIENCE = 10.0
_PAUSE = 0.002


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The mounted hierarchies: mount points of version 1 with their controllers, and that of version 2 or ""."""

    legacy: tuple[tuple[str, frozenset[str]], ...]
    unified: str

    @property
    def version(self) -> str:
        """`1`, `2`, or `1 and 2` for version 1 with an empty version 2 beside it; "" for none."""
        return " and ".join(number for number, there in (("1", self.legacy), ("2", self.unified)) if there)

    def controllers(self) -> frozenset[str]:
        """Return the names of the controllers in use."""
        names = frozenset[str]().union(*(controllers for _, controllers in self.legacy))
        if self.unified:
            with contextlib.suppress(OSError), open(f"{self.unified}/cgroup.controllers", encoding="ascii") as file:
                names |= frozenset(file.read().split())
        return names

    def counts_swap(self) -> bool:
        """Whether memory and swap can be limited together; version 2 always can."""
        root = self._root_of("memory")
        return not root or os.path.exists(f"{root}/memory.memsw.limit_in_bytes")

    def memory_kills(self, cgroup: str) -> int:
        """Return how many processes of `cgroup` were killed because it went over its memory limit; 0 if it is gone."""
        root = self._root_of("memory")
        path = f"{root}{cgroup}/memory.oom_control" if root else f"{self.unified}{cgroup}/memory.events"
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith("oom_kill "))
        return 0

    def available(self, what: str) -> str:
        """Return the list of `cpus` or `mems` (memory nodes) that there are, such as `0-3,5`; "" if nobody says."""
        root = self._root_of("cpuset")
        path = f"{root}/cpuset.{what}" if root else f"{self.unified}/cpuset.{what}.effective"
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            return file.read().strip()
        return ""

    def kill(self, cgroup: str) -> bool:
        """Send SIGKILL to every process below `cgroup` once; return whether there was one. Raises nothing."""
        found = False
        if self.unified:
            # Kills those that are just being forked too; since Linux 5.14.
            with contextlib.suppress(OSError):
                _write(f"{self.unified}{cgroup}/cgroup.kill", "1")
        for directory in self._directories(cgroup):
            for pid in _members(directory):
                found = True
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            # A runtime that was killed while it froze the group would leave it so, and the frozen do not die.
            with contextlib.suppress(OSError):
                _write(f"{directory}/freezer.state", "THAWED")
        return found

    def signal(self, cgroup: str, number: int) -> None:
        """Send the signal `number` to every process below `cgroup`; raises nothing."""
        for pid in {pid for directory in self._directories(cgroup) for pid in _members(directory)}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self, cgroup: str) -> bool:
        """Kill what is below `cgroup`, wait, and remove it in every hierarchy; return whether all is gone."""
        # Where the runtime has removed it, there is nothing to walk through.
        if not any(os.path.exists(root + cgroup) for root in self._roots()):
            return True
        deadline = time.monotonic() + _PATIENCE
        while self.kill(cgroup):
            if time.monotonic() > deadline:
                return False
            time.sleep(_PAUSE)
        gone = True
        for directory in self._directories(cgroup):
            while True:
                try:
                    os.rmdir(directory)
                except FileNotFoundError:
                    break
                except OSError:
                    # The last process has left, and the kernel has not noticed.
                    if time.monotonic() > deadline:
                        gone = False
                        break
                    time.sleep(_PAUSE)
                else:
                    break
        return gone

    def find(self, prefix: str) -> set[str]:
        """Return the names of the groups, of any hierarchy, that begin with `prefix` (`/` and more of a name)."""
        return {f"/{name}" for root in self._roots() for name in os.listdir(root) if f"/{name}".startswith(prefix)}

    def _root_of(self, controller: str) -> str:
        """Return the mount point of the version 1 hierarchy with `controller`, "" if there is none."""
        return next((mountpoint for mountpoint, names in self.legacy if controller in names), "")

    def _roots(self) -> list[str]:
        return [mountpoint for mountpoint, _ in self.legacy] + ([self.unified] if self.unified else [])

    def _directories(self, cgroup: str) -> Iterator[str]:
        for root in self._roots():
            for directory, _, _ in os.walk(root + cgroup, topdown=False):
                yield directory


def find_hierarchies() -> Hierarchies:
    """Return what is mounted on this machine."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        return parse_hierarchies(file.read())


def parse_hierarchies(mountinfo: str) -> Hierarchies:
    """Return the hierarchies in the text of /proc/PID/mountinfo; of two mounts of one, the first."""
    legacy: dict[frozenset[str], str] = {}
    unified = ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup2":
            unified = unified or fields[4]
        elif kind[0] == "cgroup":
            # Super options hold the controllers among flags such as rw and release_agent=...
            names = frozenset(kind[2].split(",")) - {"rw", "ro", "xattr", "clone_children", "noprefix"}
            legacy.setdefault(frozenset(name for name in names if not name.startswith("release_agent")), fields[4])
    return Hierarchies(tuple((mountpoint, names) for names, mountpoint in legacy.items()), unified)


def _members(directory: str) -> list[int]:
    try:
        with open(f"{directory}/cgroup.procs", encoding="ascii") as file:
            # A process that cannot be seen from our pid namespace is listed as 0, which kill(2) takes for ourselves.
            return [pid for pid in map(int, file) if pid > 0]
    except OSError:
        return []


def _write(path: str, text: str) -> None:
    # No O_CREAT: the file is the kernel's or is not there.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
