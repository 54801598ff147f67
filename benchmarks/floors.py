"""The least that this machine takes for the same bytes, with nothing but what any builder has to do."""

import hashlib
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from measuring import timed

from support.bases import busybox_base

if TYPE_CHECKING:
    from world import World

__all__ = ["Floor", "copied", "hashed", "interpreter", "sandbox", "sent", "unpacked"]

_PIECE = 1 << 20


@dataclass(frozen=True)
class Floor:
    """The least that there can be, mostly seconds; the `value` is in the unit of its row."""

    title: str
    value: float


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
    """Return the milliseconds that namespaces, a root directory and a process in them take."""
    root = world.top / "floor-root"
    if not root.exists():
        root.mkdir()
        subprocess.run(["tar", "-C", root, "-xf", "-"], input=busybox_base(), check=True)
    command = ["unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "chroot", str(root), "/bin/true"]
    taken = [timed(lambda: subprocess.run(command, check=True)) for _ in range(9)]
    return Floor("unshare, chroot, true", 1000 * statistics.median(taken))


def sent(size: int) -> Floor:
    """Return how many times a second `size` bytes go through a unix socket."""
    one, other = socket.socketpair()
    times = max(20, (256 << 20) // size)

    def send() -> None:
        data = bytes(size)
        for _ in range(times):
            one.sendall(data)
        one.close()

    sender = threading.Thread(target=send)
    buffer = bytearray(1 << 20)
    begun = time.perf_counter()
    sender.start()
    while other.recv_into(buffer):
        pass
    sender.join()
    other.close()
    return Floor("the bytes through a unix socket", times / (time.perf_counter() - begun))


def interpreter() -> Floor:
    """Return what Python takes that does nothing."""
    command = [sys.executable, "-c", "pass"]
    return Floor("python -c pass", min(timed(lambda: subprocess.run(command, check=True)) for _ in range(5)))


def _copy(source: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, target.open("wb") as writer:
        while piece := reader.read(_PIECE):
            digest.update(piece)
            writer.write(piece)


def _fresh(world: "World") -> Path:
    number = len(list(world.top.glob("floor-*")))
    return world.top / f"floor-{number}"
