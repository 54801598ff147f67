"""The image list: 10,000 images here, 1,000 at Docker's engine, on this machine, in this run.

Needs root and dockerd: `make bench`. Prints Markdown.
"""

import hashlib
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from support.builder import Content, archive
from support.daemon import daemon
from support.dockerd import dockerd
from support.unixhttp import UnixConnection, request

OURS, THEIRS = 10_000, 1_000
ROUNDS = 60
CONNECTIONS = 20
SECONDS = 4.0
TEN = "/images/json?filters=" + quote(json.dumps({"label": ["tenth=7"]}))


def images(count: int) -> bytes:
    """Return a docker-archive of `count` tagged images on one layer."""
    layer = archive({"file": "data"})
    diff_id = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    files: dict[str, Content] = {"layer.tar": layer}
    manifest = []
    for n in range(count):
        labels = {"org.example.number": str(n), "org.example.title": f"image number {n}", "tenth": str(n // 10)}
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


def seed(path: str, count: int) -> None:
    """Load `count` images into the engine at `path`."""
    status, answer = request(path, "POST", "/images/load?quiet=1", images(count), timeout=900)
    if status != 200 or b"errorDetail" in answer:
        raise RuntimeError(answer[-500:].decode(errors="replace"))


def p50(path: str, target: str, *, match: str = "") -> tuple[float, int, int]:
    """Return the median milliseconds of a request on one connection, its status, and the bytes of its body."""
    connection = UnixConnection(path, timeout=120)
    headers = {"If-None-Match": match} if match else {}
    taken, status, size = [], 0, 0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        size, status = len(response.read()), response.status
        taken.append(time.perf_counter() - begun)
    connection.close()
    return statistics.median(taken) * 1000, status, size


def rate(path: str) -> float:
    """Return how many whole lists a second `CONNECTIONS` clients get.

    Raw sockets, and answers told apart by their length alone: a client that parses would be what is measured.
    """
    ask = b"GET /images/json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    length = measure(path, ask)
    stop = time.perf_counter() + SECONDS
    counts = [0] * CONNECTIONS

    def client(index: int) -> None:
        buffer = bytearray(1 << 20)
        with connect(path) as connection:
            while time.perf_counter() < stop:
                connection.sendall(ask)
                missing = length
                while missing:
                    missing -= connection.recv_into(buffer, min(missing, len(buffer)))
                counts[index] += 1

    begun = time.perf_counter()
    threads = [threading.Thread(target=client, args=(index,)) for index in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.perf_counter() - begun)


def measure(path: str, ask: bytes) -> int:
    """Return the bytes of one answer to `ask`, its head included."""
    with connect(path) as connection:
        connection.sendall(ask.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        closing = 0
        while piece := connection.recv(1 << 20):
            closing += len(piece)
            if closing == len(piece):
                head = piece.partition(b"\r\n\r\n")[0]
        said = b"\r\nConnection: close"
        return closing - (len(said) if said.lower() in head.lower() else 0)


def connect(path: str) -> socket.socket:
    """Return a connection to the unix socket at `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(120)
    connection.connect(path)
    return connection


def etag(path: str) -> str:
    """Return the ETag of the whole list."""
    connection = UnixConnection(path)
    connection.request("GET", "/images/json")
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers.get("ETag", "*")


def memory(pid: int) -> int:
    """Return the resident bytes of a process."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) << 10


def main() -> None:
    """Measure, and print two tables."""
    with (
        tempfile.TemporaryDirectory(prefix="imagewright-bench-") as directory,
        dockerd(directory) as docker,
        daemon(directory) as ours,
    ):
        seed(docker.socket, THEIRS)
        seed(ours.socket, OURS)
        before = memory(ours.process.pid)
        rows = [
            ("whole list", p50(ours.socket, "/images/json"), p50(docker.socket, "/images/json")),
            ("a filter that selects ten", p50(ours.socket, TEN), p50(docker.socket, TEN)),
            ("If-None-Match", p50(ours.socket, "/images/json", match=etag(ours.socket)), None),
        ]
        print(f"## Image list: imagewright with {OURS:,} images, dockerd with {THEIRS:,}\n")
        print("| request, one connection | imagewright p50 | status, bytes | dockerd p50 |")
        print("|---|---|---|---|")
        for name, (mine, status, size), theirs in rows:
            other = f"{theirs[0]:.1f} ms" if theirs else "-"
            print(f"| {name} | {mine:.2f} ms | {status}, {size:,} | {other} |")
        mine, theirs_rate = rate(ours.socket), rate(docker.socket)
        print(f"\n| whole lists a second, {CONNECTIONS} connections | imagewright | dockerd | ratio |")
        print("|---|---|---|---|")
        print(f"| | {mine:.0f} | {theirs_rate:.0f} | {mine / theirs_rate:.1f} |")
        print(f"\nMemory grew by {(memory(ours.process.pid) - before) >> 20} MiB while imagewright answered.")


if __name__ == "__main__":
    main()
