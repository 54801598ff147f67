"""How much memory imagewright's daemon takes, with all its descendants, while much goes through it.

`bounds` is a part of what `make bench` measures. This file run alone measures with 10 GiB or another `--size`, of which
the disk below `--directory` must have room for three times as much, and writes what came out to `--output`.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from growth import small_members
from memory import memory
from peers import Engine
from world import World

from support.bases import busybox_base
from support.daemon import daemon
from support.registry import docker_registry
from support.unixhttp import UnixConnection, request

__all__ = ["bounds"]

_BOUND = 150 << 20
_PIECE = 1 << 20
_BLOCK = 512
_LOOK_SECONDS = 0.05
_FILE = "benchmarks/bounds.md"
_UNITS = {"MiB": 20, "GiB": 30}
_HOW = """\
Written by `benchmarks/bounds.py`. What is sent is made while it is sent, and cannot be compressed; the registry is on
the same machine. Page cache, which the kernel gives back when it is needed, is not counted."""


@dataclass(frozen=True)
class _Outcome:
    """What one transfer of some bytes took: `seconds`, and `halves`, the most memory in the first half and after it."""

    title: str
    seconds: float
    halves: tuple[int, int]


def bounds(world: World) -> str:
    """Measure a new daemon with a size that the whole run has time for; return Markdown."""
    found = _of_new_daemon(world.top / "bounds", (256 << 20) if world.quick else (2 << 30))
    many = _of_many_files(world.top / "bounds-many", world.scaled(100_000))
    return f"{found}\n{many}\n\nWhat a run of `benchmarks/bounds.py` with 10 GiB gave is in [{_FILE}]({_FILE}).\n"


def _of_new_daemon(directory: Path, size: int) -> str:
    directory.mkdir()
    with daemon(str(directory)) as server:
        engine = Engine("imagewright", server.socket, server.process.pid)
        engine.import_base(busybox_base(), "base")
        return _measured(engine, directory, size)


def _of_many_files(directory: Path, count: int) -> str:
    """Return what a new daemon takes for `count` files: its trees and layers are in memory."""
    directory.mkdir()

    def context() -> Iterator[bytes]:
        yield _member("Dockerfile", b"FROM base:1\nCOPY . /data\nRUN true\n")
        yield from small_members(1, count)
        yield bytes(2 * _BLOCK)

    with daemon(str(directory)) as server:
        engine = Engine("imagewright", server.socket, server.process.pid)
        engine.import_base(busybox_base(), "base")
        idle = memory(engine.root)
        target = "/build?rm=1&nocache=1&networkmode=none&t=many:1"
        most = max(_watched(engine, "", lambda: _stream(engine, "POST", target, context())).halves)
        kept = memory(engine.root)
    taken, stays = ((each - idle) >> 20 for each in (most, kept))
    return (
        "Files cost by their number, since trees and indices of layers are in memory: a COPY of"
        f" {count:,} small ones and a\nRUN after it take {taken} MiB at the most. Of that {stays} MiB stay: what was"
        " used last is remembered, up to 200,000\nnodes of trees and as many changes of layers."
    )


def _measured(engine: Engine, directory: Path, size: int) -> str:
    _build(engine, "warm", "FROM base:1\nCOPY data /\nRUN true\n", _PIECE)
    _remove(engine, "warm:1")
    idle = memory(engine.root)
    with docker_registry(str(directory)) as registry:
        outcomes = list(_outcomes(engine, registry.host, size))
    words = f"{size >> 30} GiB" if size >> 30 else f"{size >> 20} MiB"
    how = f"what they share counted once, looked at every {_LOOK_SECONDS * 1e3:.0f} ms"
    lines = [
        f"Memory of the daemon and all its descendants, {how}, above the {idle >> 20} MiB of an idle one.\n",
        f"| {words} each | time | most in the first half | most in the second half | below {_BOUND >> 20} MiB |",
        "|---|---|---|---|---|",
    ]
    for each in outcomes:
        first, second = (f"{(most - idle) / (1 << 20):.0f} MiB" for most in each.halves)
        holds = "yes" if max(each.halves) - idle < _BOUND else "**no**"
        speed = f"{each.seconds:.1f} s, {size / each.seconds / 1e6:.0f} MB/s"
        lines.append(f"| {each.title} | {speed} | {first} | {second} | {holds} |")
    return "\n".join([*lines, ""])


def _outcomes(engine: Engine, host: str, size: int) -> Iterator[_Outcome]:
    """Carry everything out, in an order that needs no more on the disk than it must."""
    writing = f"FROM base:1\nRUN dd if=/dev/zero of=/data bs=1M count={size >> 20} 2>/dev/null\n"
    yield _watched(engine, "RUN that writes a file", lambda: _build(engine, "written", writing, 0))
    _remove(engine, "written:1")
    copying = "FROM scratch\nCOPY data /\n"
    yield _watched(engine, "context of a file, COPY of it", lambda: _build(engine, "copied", copying, size))
    yield _watched(engine, "save", lambda: _save(engine, "copied:1"))
    _remove(engine, "copied:1")
    name = f"{host}/team/app"
    yield _watched(engine, "load of a layer", lambda: _load(engine, f"{name}:1", size))
    yield _watched(engine, "push", lambda: _stream(engine, "POST", f"/images/{name}/push?tag=1"))
    _remove(engine, f"{name}:1")
    yield _watched(engine, "pull", lambda: _stream(engine, "POST", f"/images/create?fromImage={name}&tag=1"))
    _remove(engine, f"{name}:1")


def _watched(engine: Engine, title: str, action: Callable[[], None]) -> _Outcome:
    """Carry out `action`, and look at the memory meanwhile."""
    ended, seen = threading.Event(), [(0.0, memory(engine.root))]
    begun = time.perf_counter()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            seen.append((time.perf_counter() - begun, memory(engine.root)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        action()
    finally:
        seconds = time.perf_counter() - begun
        ended.set()
        watcher.join()
    first = max(taken for at, taken in seen if at <= seconds / 2)
    second = max((taken for at, taken in seen if at > seconds / 2), default=first)
    return _Outcome(title, seconds, (first, second))


def _data(size: int) -> Iterator[bytes]:
    """Yield `size` bytes that cannot be compressed, for a window of 32 kB."""
    piece = random.Random(size).randbytes(_PIECE)  # noqa: S311 - no secret, but the same each time
    for start in range(0, size, _PIECE):
        yield piece[: size - start]


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _member(name: str, data: bytes) -> bytes:
    return _header(name, len(data)) + data + bytes(-len(data) % _BLOCK)


def _tar(size: int) -> Iterator[bytes]:
    """Yield a tar of one file of `size` bytes, which is a multiple of a block, without the end of the tar."""
    yield _header("data", size)
    yield from _data(size)


def _build(engine: Engine, tag: str, dockerfile: str, size: int) -> None:
    """Build with a context of `size` bytes, made while it is sent."""

    def context() -> Iterator[bytes]:
        yield _member("Dockerfile", dockerfile.encode())
        yield from _tar(size)
        yield bytes(2 * _BLOCK)

    _stream(engine, "POST", f"/build?rm=1&nocache=1&networkmode=none&t={tag}:1", context())


def _load(engine: Engine, name: str, size: int) -> None:
    """Load a docker-archive of one layer, made while it is sent: what tells its digest stands at the end."""

    def archive() -> Iterator[bytes]:
        digest, end = hashlib.sha256(), bytes(2 * _BLOCK)
        yield _header("layer.tar", size + _BLOCK + len(end))
        for piece in _tar(size):
            digest.update(piece)
            yield piece
        digest.update(end)
        yield end
        rootfs = {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]}
        yield _member("config.json", json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).encode())
        image = {"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}
        yield _member("manifest.json", json.dumps([image]).encode()) + end

    _stream(engine, "POST", "/images/load?quiet=1", archive())


def _save(engine: Engine, name: str) -> None:
    connection = UnixConnection(engine.socket, timeout=600)
    with contextlib.closing(connection):
        connection.request("GET", f"/images/{name}/get")
        response = connection.getresponse()
        buffer = bytearray(_PIECE)
        while response.readinto(buffer):
            pass


def _stream(engine: Engine, method: str, target: str, body: Iterator[bytes] | None = None) -> None:
    """Send a request with a body that is not known before; raise where it failed, or told of an error."""
    connection = UnixConnection(engine.socket, timeout=600)
    with contextlib.closing(connection):
        headers = {"X-Registry-Auth": "e30=", "Content-Type": "application/x-tar"}
        connection.request(method, target, body, headers)
        response = connection.getresponse()
        answer = response.read()
    if response.status != 200 or b"errorDetail" in answer:
        raise RuntimeError(f"{target}: {answer[-2000:].decode(errors='replace')}")


def _remove(engine: Engine, name: str) -> None:
    """Remove an image: the disk need not have room for all."""
    status, answer = request(engine.socket, "DELETE", f"/images/{name}?force=1", timeout=300)
    if status != 200:
        raise RuntimeError(answer.decode(errors="replace"))


def _size(text: str) -> int:
    """Return the bytes that `text` says, such as 10GiB."""
    shift = _UNITS.get(text[-3:])
    if shift is None or not text[:-3].isdecimal():
        raise argparse.ArgumentTypeError("a number and MiB or GiB")
    return int(text[:-3]) << shift


def main() -> None:
    """Measure with a daemon of this program's own, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=_size, default=10 << 30, metavar="N(MiB|GiB)")
    parser.add_argument("--directory", default=None, help="where to work; everything in it is removed at the end")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "docs" / _FILE, metavar="FILE")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagewright-bench-", dir=chosen.directory) as directory:
        found = _of_new_daemon(Path(directory) / "bounds", chosen.size)
    print(found)
    chosen.output.write_text(f"# Memory while much goes through imagewright\n\n{_HOW}\n\n{found}")


if __name__ == "__main__":
    main()
