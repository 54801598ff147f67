"""A hundred builds of one tag at the same time, by imagewright and by Docker's classic builder, in the same run.

How long it takes, how many succeed, and the most memory that the engine and all its descendants have together: the sum
of their proportional shares, looked at again and again. Needs root, dockerd and the programs of RUN: `make bench`.
"""

import os
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from support.bases import busybox_base
from support.builder import context
from support.daemon import daemon
from support.dockerd import dockerd
from support.unixhttp import request

COUNT = 100
_LOOK_SECONDS = 0.1
BODY = context("FROM base:1\nCOPY f /f\nRUN cat /f > /g\n", {"f": "x" * 1000})
CASES = {"equal builds": "", "without the cache": "&nocache=1"}


@dataclass(frozen=True)
class Outcome:
    """How `succeeded` of the builds went: `seconds` for all, and the most bytes of `memory`."""

    succeeded: int
    seconds: float
    memory: int


def tree(root: int) -> set[int]:
    """Return the processes that descend from `root`, and itself."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parents[int(name)] = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def memory(root: int) -> int:
    """Return the bytes of memory of all processes that descend from `root`, what they share counted once."""
    total = 0
    for pid in tree(root):
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += next((int(line.split()[1]) for line in file if line.startswith("Pss:")), 0)
        except OSError:
            continue
    return total << 10


def measure(socket: str, root: int, parameters: str) -> Outcome:
    """Build `COUNT` times at once on the engine at `socket`, whose first process is `root`."""
    ended, most = threading.Event(), [memory(root)]

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            most.append(memory(root))

    def build(_number: int) -> bool:
        status, answer = request(socket, "POST", f"/build?rm=1&t=same:1{parameters}", BODY, timeout=900)
        return status == 200 and b"Successfully tagged same:1" in answer

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun = time.perf_counter()
    try:
        with ThreadPoolExecutor(COUNT) as pool:
            succeeded = sum(pool.map(build, range(COUNT)))
    finally:
        seconds = time.perf_counter() - begun
        ended.set()
        watcher.join()
    return Outcome(succeeded, seconds, max(most))


def main() -> None:
    """Measure every case on both engines and print what came of it."""
    with (
        tempfile.TemporaryDirectory(prefix="imagewright-bench-") as directory,
        dockerd(directory) as docker,
        daemon(directory) as ours,
    ):
        engines = {
            "imagewright": (ours.socket, ours.process.pid),
            "classic": (docker.socket, docker.process.pid),
        }
        for socket, _ in engines.values():
            status, answer = request(socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
            if status != 200:
                raise RuntimeError(answer.decode(errors="replace"))
        print(f"{COUNT} at the same time{'':18}{'succeeded':>12}{'time':>12}{'memory':>12}")
        for case, parameters in CASES.items():
            for name, (socket, root) in engines.items():
                outcome = measure(socket, root, parameters)
                print(
                    f"{f'{case}, {name}':38}{outcome.succeeded:12}{outcome.seconds:10.1f} s"
                    f"{outcome.memory / (1 << 20):8.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
