"""Pull and push of 500 MB in eight layers: imagewright and Docker's engine, one registry, in turns, in this run.

What counts is the ratio. Half of the bytes cannot be compressed, half is text. Needs root, dockerd and docker-registry:
`make bench`. Prints Markdown.
"""

import hashlib
import io
import json
import os
import random
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from support.daemon import daemon
from support.dockerd import dockerd
from support.registry import DockerRegistry, docker_registry
from support.twin import twin
from support.unixhttp import UnixConnection, request

ROUNDS = int(os.environ.get("ROUNDS", "3"))
LAYERS = 8
FILES = 60
# Few large files: what is removed between rounds must not slow down what comes after it on ext4.
FILE_SIZE = 1 << 20
MEMORY_LIMIT = 150 << 20


def make_layer(seed: int, path: Path) -> str:
    """Write a layer to `path`, and return its diff_id."""
    source = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    words = [source.randbytes(source.randrange(2, 9)).hex() for _ in range(5000)]
    text = " ".join(source.choices(words, k=600_000)).encode()
    with tarfile.open(path, "w") as tar:
        for number in range(FILES):
            start = source.randrange(len(text) - FILE_SIZE // 2)
            data = source.randbytes(FILE_SIZE // 2) + text[start : start + FILE_SIZE // 2]
            info = tarfile.TarInfo(f"layer{seed}/{number}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def make_image(directory: str, name: str) -> Path:
    """Write the image to a docker-archive below `directory`; return where it is."""
    top = Path(directory)
    layers = [top / f"layer{number}.tar" for number in range(LAYERS)]
    diff_ids = [make_layer(number, path) for number, path in enumerate(layers)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2024-01-01T00:00:00Z"}] * LAYERS,
    }
    (top / "config.json").write_text(json.dumps(config))
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [path.name for path in layers]}]
    (top / "manifest.json").write_text(json.dumps(manifest))
    archive = top / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for path in [*layers, top / "config.json", top / "manifest.json"]:
            tar.add(path, path.name)
            path.unlink()
    return archive


def ask(socket: str, method: str, target: str) -> None:
    """Send a request that streams progress; raise where it failed, or told of an error."""
    connection = UnixConnection(socket, timeout=300)
    connection.request(method, target, headers={"X-Registry-Auth": "e30="})
    response = connection.getresponse()
    answer = response.read()
    connection.close()
    if response.status != 200 or b"errorDetail" in answer:
        raise RuntimeError(answer[-500:].decode(errors="replace"))


def load(socket: str, archive: Path) -> None:
    """Load the image, for a push that finds nothing compressed."""
    with archive.open("rb") as file:
        status, answer = request(socket, "POST", "/images/load?quiet=1", file, timeout=300)
    if status != 200 or b"errorDetail" in answer:
        raise RuntimeError(answer[-500:].decode(errors="replace"))


def remove(socket: str, name: str) -> None:
    """Remove the image, all its names and layers."""
    status, answer = request(socket, "DELETE", f"/images/{name}?force=1", timeout=300)
    if status != 200:
        raise RuntimeError(answer[-500:].decode(errors="replace"))


def forget(registry: DockerRegistry) -> None:
    """Empty the registry."""
    data = Path(registry.root) / "docker"
    if data.exists():
        data.rename(f"{registry.root}-old-{time.monotonic_ns()}")


def seconds(action: Callable[[], None]) -> float:
    """Return how long `action` takes, what was written before being on the disk already."""
    os.sync()
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def peak(pid: int) -> int:
    """Return the most resident bytes of a process since `reset_peak`."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10


def reset_peak(pid: int) -> None:
    """Have the peak of a process counted from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


class Bench:
    """The rounds, on two engines and the registry between them."""

    def __init__(self, registry: DockerRegistry, archive: Path, name: str) -> None:
        self._registry = registry
        self._archive = archive
        self._repository, _, tag = name.rpartition(":")
        self._name = name
        self._push = f"/images/{self._repository}/push?tag={tag}"
        self._pull = f"/images/create?fromImage={self._repository}&tag={tag}"

    def round(self, socket: str) -> dict[str, float]:
        """Measure each case once."""
        taken = {}
        load(socket, self._archive)
        forget(self._registry)
        taken["push, nothing compressed yet"] = seconds(lambda: ask(socket, "POST", self._push))
        taken["push of what the registry has"] = seconds(lambda: ask(socket, "POST", self._push))
        remove(socket, self._name)
        taken["pull"] = seconds(lambda: ask(socket, "POST", self._pull))
        forget(self._registry)
        taken["push of what was pulled"] = seconds(lambda: ask(socket, "POST", self._push))
        remove(socket, self._name)
        return taken


def main() -> None:
    """Measure, and print a table."""
    with (
        tempfile.TemporaryDirectory(prefix="imagewright-bench-") as directory,
        docker_registry(directory) as registry,
        dockerd(directory) as docker,
        twin(registry, docker),
        daemon(directory) as ours,
    ):
        name = f"{registry.host}/team/app:1"
        bench = Bench(registry, make_image(directory, name), name)
        rounds: dict[str, list[dict[str, float]]] = {ours.socket: [], docker.socket: []}
        idle, most = peak(ours.process.pid), 0
        for _ in range(ROUNDS):
            for socket, taken in rounds.items():
                reset_peak(ours.process.pid)
                taken.append(bench.round(socket))
                most = max(most, peak(ours.process.pid))
        size = LAYERS * FILES * FILE_SIZE // 1_000_000
        print(f"## Registry: {size} MB in {LAYERS} layers, {ROUNDS} rounds, medians\n")
        print("| | imagewright | dockerd | ratio |")
        print("|---|---|---|---|")
        for case in rounds[ours.socket][0]:
            mine, theirs = ([taken[case] for taken in rounds[engine]] for engine in (ours.socket, docker.socket))
            ratio = statistics.median(mine) / statistics.median(theirs)
            print(f"| {case} | {shown(mine)} | {shown(theirs)} | {ratio:.2f} |")
        print(f"\nMemory of imagewright's daemon: {idle >> 20} MiB before, {most >> 20} MiB at its peak.")


def shown(taken: list[float]) -> str:
    """Return the median, and between which values the rounds were."""
    return f"{statistics.median(taken):.2f} s ({min(taken):.2f}-{max(taken):.2f})"


if __name__ == "__main__":
    main()
