"""The least that this machine takes for the same bytes, with nothing but what any builder has to do."""

import hashlib
import os
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import timed

from support.bases import busybox_base

if TYPE_CHECKING:
    from world import World

__all__ = ["Floor", "copied", "hashed", "sandbox", "unpacked"]

_PIECE = 1 << 20


@dataclass(frozen=True)
class Floor:
    """The least `seconds`, and what they are spent on."""

    title: str
    seconds: float


def copied(world: "World", path: Path) -> Floor:
    """Return what a copy takes of which the sha256 is taken."""
    target = _fresh(world)
    return Floor("copy + sha256", timed(lambda: _copy(path, target)))


def hashed(path: Path) -> Floor:
    """Return what the sha256 takes."""
    return Floor("sha256", timed(lambda: _copy(path, Path(os.devnull))))


def unpacked(world: "World", tar: Path) -> Floor:
    """Return what unpacking takes."""
    target = _fresh(world)
    target.mkdir()
    return Floor("one write of the files", timed(lambda: subprocess.run(["tar", "-C", target, "-xf", tar], check=True)))


def sandbox(world: "World") -> Floor:
    """Return what namespaces, a root directory and a process in them take."""
    root = world.top / "floor-root"
    if not root.exists():
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", "-"], input=busybox_base(), check=True)
    command = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "chroot", root, "/bin/true"]
    taken = [timed(lambda: subprocess.run(command, check=True)) for _ in range(9)]
    return Floor("unshare, chroot, true", statistics.median(taken))


def _copy(source: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while piece := reader.read(_PIECE):
            digest.update(piece)
            writer.write(piece)


def _fresh(world: "World") -> Path:
    number = len(list(world.top.glob("floor-*")))
    return world.top / f"floor-{number}"
