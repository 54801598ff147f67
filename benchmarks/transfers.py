"""Pull and push of 500 MB in eight layers, with Debian's docker-registry on this machine.

Half of the bytes cannot be compressed, half is text. The registry is emptied before each push, and nothing is
compressed yet. It serves its data in the network of dockerd too, which reaches no other host.
"""

import contextlib
import hashlib
import io
import json
import random
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from floors import Floor, copied
from measuring import timed
from peers import Engine, Peer, Podman
from rows import Goal, Row, Values, Workload
from world import World

from support.registry import DockerRegistry, docker_registry
from support.twin import twin

__all__ = ["TRANSFERS"]

_LAYERS = 8
_FILES = 60
_FILE_SIZE = 1 << 20


@dataclass(frozen=True)
class _Place:
    """A registry, and the docker-archive of the image `name` that goes there."""

    registry: DockerRegistry
    archive: Path
    name: str

    def empty(self) -> None:
        """Have the registry forget all it has."""
        data = Path(self.registry.root) / "docker"
        if data.exists():
            data.rename(f"{self.registry.root}-old-{time.monotonic_ns()}")


@contextlib.contextmanager
def _place(world: World) -> Iterator[_Place]:
    top = world.top / "registry"
    top.mkdir()
    with docker_registry(str(top)) as registry, twin(registry, world.peers.dockerd):
        name = f"{registry.host}/team/app:1"
        yield _Place(registry, _archive(top, name, world.scaled(_FILES)), name)


def _sample(world: World, peer: Peer, _number: int) -> Values:
    if not isinstance(peer, Engine | Podman):
        raise TypeError(peer.name)
    place = world.kept("registry", lambda: _place(world))
    peer.load(place.archive)
    place.empty()
    push = timed(lambda: peer.push(place.name))
    peer.remove(place.name)
    pull = timed(lambda: peer.pull(place.name))
    peer.remove(place.name)
    return pull, push


def _floors(world: World) -> tuple[Floor | None, ...]:
    floor = copied(world, world.kept("registry", lambda: _place(world)).archive)
    return floor, floor


def _archive(top: Path, name: str, files: int) -> Path:
    layers = [top / f"layer{number}.tar" for number in range(_LAYERS)]
    diff_ids = [_layer(number, path, files) for number, path in enumerate(layers)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/true"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created": "2024-01-01T00:00:00Z"}] * _LAYERS,
    }
    (top / "config.json").write_text(json.dumps(config))
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": [path.name for path in layers]}]
    (top / "manifest.json").write_text(json.dumps(manifest))
    archive = top / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for path in [*layers, top / "config.json", top / "manifest.json"]:
            tar.add(path, path.name)
    return archive


def _layer(seed: int, path: Path, files: int) -> str:
    """Write a layer to `path`, and return its diff_id."""
    source = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    words = [source.randbytes(source.randrange(2, 9)).hex() for _ in range(5000)]
    text = " ".join(source.choices(words, k=600_000)).encode()
    with tarfile.open(path, "w") as tar:
        for number in range(files):
            start = source.randrange(len(text) - _FILE_SIZE // 2)
            data = source.randbytes(_FILE_SIZE // 2) + text[start : start + _FILE_SIZE // 2]
            info = tarfile.TarInfo(f"layer{seed}/{number}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


TRANSFERS = Workload(
    (
        Row("pull", "pull of 500 MB in eight layers, local registry", (Goal(0.9),)),
        Row("push", "push of the same", (Goal(0.4),)),
    ),
    _sample,
    _floors,
    peers=("imagewright", "classic", "podman"),
)
