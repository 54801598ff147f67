"""The same requests to imagewright and to Docker's classic builder, on this machine, in this run, in turns.

What counts is the ratio. Needs root, dockerd and the programs of RUN: `make bench`.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from support.bases import busybox_base
from support.builder import Content, context
from support.daemon import daemon
from support.dockerd import dockerd
from support.unixhttp import request

ROUNDS = 5
FILES: dict[str, Content] = {f"tree/{n // 50}/{n}": os.urandom(2000) for n in range(2000)}
SMALL = context("FROM base:1\nRUN true\nRUN echo hello > /hello\nRUN rm /hello\n")
COPYING = context("FROM base:1\nCOPY tree /tree\nCOPY tree /other\n", FILES)

Case = Callable[[str], None]


def build(body: bytes, parameters: str = "") -> Case:
    """Return what builds `body` on the engine at a socket."""

    def run(socket: str) -> None:
        status, answer = request(socket, "POST", f"/build?rm=1&{parameters}", body, timeout=600)
        if status != 200 or b"Successfully built" not in answer:
            raise RuntimeError(answer[-500:].decode(errors="replace"))

    return run


def list_images(socket: str) -> None:
    """List all images of the engine at `socket`."""
    status, answer = request(socket, "GET", "/images/json?all=1")
    if status != 200:
        raise RuntimeError(answer.decode(errors="replace"))


CASES: dict[str, Case] = {
    "COPY of 2,000 files, twice, no cache": build(COPYING, "nocache=1"),
    "the copies from the cache": build(COPYING),
    "three RUN, no cache": build(SMALL, "nocache=1"),
    "the three RUN from the cache": build(SMALL),
    "list of all images": list_images,
}


def seconds(case: Case, socket: str) -> float:
    """Return how long `case` takes."""
    begun = time.perf_counter()
    case(socket)
    return time.perf_counter() - begun


def main() -> None:
    """Measure every case on both engines and print the medians."""
    with (
        tempfile.TemporaryDirectory(prefix="imagewright-bench-") as directory,
        dockerd(directory) as docker,
        daemon(directory) as ours,
    ):
        sockets = (ours.socket, docker.socket)
        for socket in sockets:
            status, answer = request(socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
            if status != 200:
                raise RuntimeError(answer.decode(errors="replace"))
        print(f"{'':40}{'imagewright':>12}{'classic':>12}{'ratio':>8}")
        for name, case in CASES.items():
            taken: dict[str, list[float]] = {socket: [] for socket in sockets}
            for _ in range(ROUNDS):
                for socket in sockets:
                    taken[socket].append(seconds(case, socket))
            mine, theirs = (statistics.median(taken[socket]) for socket in sockets)
            print(f"{name:40}{mine * 1000:9.0f} ms{theirs * 1000:9.0f} ms{theirs / mine:8.1f}", flush=True)


if __name__ == "__main__":
    main()
