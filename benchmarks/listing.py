"""The image list: 1,000 images, whole lists a second and the time of one, and 10,000 against dockerd with 1,000.

Raw sockets, and answers told apart by their length alone: a client that parses would be what is measured.
"""

import contextlib
import hashlib
import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Iterator

from floors import Floor, sent
from many_images import fill
from peers import Engine, Peer
from rows import Goal, Row, Values, Workload
from world import World

from support.builder import Content, archive
from support.daemon import daemon
from support.dockerd import dockerd
from support.unixhttp import UnixConnection

__all__ = ["LISTING"]

_FEW, _MANY = 1_000, 10_000
_TIMES = 60
_CONNECTIONS = 20
_SECONDS = 2.0
_ASK = b"GET /images/json HTTP/1.1\r\nHost: localhost\r\n\r\n"


def _images(count: int) -> bytes:
    """Return a docker-archive of `count` tagged images on one layer."""
    layer = archive({"file": "data"})
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    files: dict[str, Content] = {"layer.tar": layer}
    manifest = []
    for n in range(count):
        labels = {"org.example.number": str(n), "org.example.title": f"image number {n}"}
        config = {
            "architecture": "amd64",
            "os": "linux",
            "created": f"2024-01-{n % 28 + 1:02}T00:{n // 60 % 60:02}:{n % 60:02}Z",
            "config": {"Labels": labels, "Cmd": ["/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        }
        files[f"{n}.json"] = json.dumps(config)
        manifest.append({"Config": f"{n}.json", "RepoTags": [f"team/project-{n % 97}:v{n}"], "Layers": ["layer.tar"]})
    files["manifest.json"] = json.dumps(manifest)
    return archive(files)


def _rate(path: str) -> float:
    """Return how many whole lists a second `_CONNECTIONS` clients get."""
    length = _length(path)
    stop = time.perf_counter() + _SECONDS
    counts = [0] * _CONNECTIONS

    def client(index: int) -> None:
        buffer = bytearray(1 << 20)
        with _connect(path) as connection:
            while time.perf_counter() < stop:
                connection.sendall(_ASK)
                missing = length
                while missing:
                    missing -= connection.recv_into(buffer, min(missing, len(buffer)))
                counts[index] += 1

    begun = time.perf_counter()
    threads = [threading.Thread(target=client, args=(index,)) for index in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def _length(path: str) -> int:
    """Return the bytes of one whole list, its head included."""
    with _connect(path) as connection:
        connection.sendall(_ASK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        closing = 0
        while piece := connection.recv(1 << 20):
            closing += len(piece)
            if closing == len(piece):
                head = piece.partition(b"\r\n\r\n")[0]
        said = b"\r\nConnection: close"
        return closing - (len(said) if said.lower() in head.lower() else 0)


def _connect(path: str) -> socket.socket:
    """Return a connection to the unix socket at `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(120)
    connection.connect(path)
    return connection


def _p50(path: str) -> float:
    """Return the median milliseconds of a whole list on one connection."""
    connection = UnixConnection(path, timeout=120)
    taken = []
    for _ in range(_TIMES):
        begun = time.perf_counter()
        connection.request("GET", "/images/json")
        response = connection.getresponse()
        response.read()
        taken.append(time.perf_counter() - begun)
        if response.status != http.client.OK:
            raise RuntimeError(f"answered {response.status}")
    connection.close()
    return statistics.median(taken) * 1000


@contextlib.contextmanager
def _started(world: World, peer: Peer, count: int) -> Iterator[Engine]:
    """Start another of `peer` with `count` images."""
    top = world.top / f"list-{peer.name}-{count}"
    top.mkdir()
    if peer == world.peers.ours:
        fill(top / "data", count)
        with daemon(str(top)) as server:
            yield Engine(peer.name, server.socket, server.process.pid)
    else:
        tar = top / "images.tar"
        tar.write_bytes(_images(count))
        with dockerd(str(top)) as docker:
            engine = Engine(peer.name, docker.socket, docker.process.pid)
            engine.load(tar)
            yield engine


def _engine(world: World, peer: Peer, count: int) -> Engine:
    key = f"list-{peer.name}-{count}"
    return world.kept(key, lambda: _started(world, peer, world.scaled(count)))


def _sample(world: World, peer: Peer, _number: int) -> Values:
    few = _engine(world, peer, _FEW).socket
    rate = _rate(few)
    if peer.name == "classic":
        return rate, _p50(few), rate, None
    many = _engine(world, peer, _MANY).socket
    return rate, _p50(few), _rate(many), _p50(many)


def _floors(world: World) -> tuple[Floor | None, ...]:
    sizes = [_length(_engine(world, world.peers.ours, count).socket) for count in (_FEW, _MANY)]
    few, many = (sent(size) for size in sizes)
    return few, Floor(few.title, 1000 / few.value), many, Floor(many.title, 1000 / many.value)


LISTING = Workload(
    (
        Row("list", "lists of 1,000 images, 20 connections", (Goal(100),), unit="/s", more=True),
        Row("list-p50", "one list of 1,000 images, p50", (), unit="ms"),
        Row("list-many", "lists of 10,000 images, dockerd with 1,000", (Goal(10),), unit="/s", more=True),
        Row("list-many-p50", "one list of 10,000 images, p50", (), unit="ms"),
    ),
    _sample,
    _floors,
    rounds=3,
    peers=("imagewright", "classic"),
    profiled=False,
)
