"""The store after its process was killed with SIGKILL, at many points of its work.

This file is also the program that is killed: it forks a worker for each round, which kills itself at a certain system
call, or is killed after a certain time, and then looks at what is left.
"""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from imagewright.archive import CHUNK
from imagewright.filesystem import Content, Directory, Extent, File, Layer, Put, Tree
from imagewright.oci import Digest, ImageConfig, RootfsConfig, chain_id, encode_config, format_time
from imagewright.reference import Reference
from imagewright.store import Container, ImageQuery, Record, Store

_CHANGES = frozenset({"os.rename", "os.mkdir", "os.remove", "os.rmdir", "open", "os.truncate", "sqlite3.connect"})
_ROUNDS = 45


@pytest.mark.privileged
def test_killed_at_any_moment(tmp_path: Path) -> None:
    search = os.pathsep.join(path for path in sys.path if path)
    program = [sys.executable, __file__, str(tmp_path)]
    done = subprocess.run(
        program, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["killed"] == _ROUNDS
    assert report["names"] > 0
    assert report["images"] > 0


class Worker:
    """Does one round of everything, and says on `out` what it is about to do and what is done."""

    def __init__(self, directory: str, number: int, out: int) -> None:
        self._directory = directory
        self._number = number
        self._out = out
        self._files = itertools.count()
        self._store = Store.open(f"{directory}/root", clock=time.time_ns)

    def work(self) -> None:
        """Build an image on the last one, as it would be done, and remove an older one."""
        store, number = self._store, self._number
        with store.lease():
            base = store.add_layer(self._layer("base", b"base"))
            copied = store.add_layer(self._layer(f"copied{number % 5}", b"x" * 300_000))
            store.layer_directory(base, [], _unpack)
            store.layer_directory(copied, [base], _unpack)
            layers = [base, copied]
            parent = store.add_image(self._config(layers, "parent"))
            with store.scratch() as scratch:
                os.makedirs(f"{scratch}/upper")
                layer = Layer(tuple(self._file(f"{scratch}/upper", f"ran{index}") for index in range(20)))
                ran = store.add_layer_directory(layer, f"{scratch}/upper", below=layers)
            store.put_record(
                Digest.of(b"key %d" % number),
                Record(diff_id=ran, created_ns=number, parent=chain_id(layers), content=ran),
            )
            with open(f"{self._directory}/again", "wb") as file:
                store.write_layer_tar(ran, file)
            with open(f"{self._directory}/again", "rb") as file:
                store.add_layer_stream(file, diff_id=ran)
            layers.append(ran)
            name = f"app{number % 7}:1"
            image = Digest.of(self._config(layers, "child"))
            self._tell(name, image)
            store.add_image(self._config(layers, "child"), parent=parent, references=[Reference.parse(name)])
            self._tell(name, image, done=True)
        self._tell("last:1", image)
        store.tag(image, Reference.parse("last:1"))
        self._tell("last:1", image, done=True)
        identity = Digest.of(b"container %d" % number).encoded
        store.add_container(
            Container(id=identity, image=image, command=(), created_ns=number, exit_code=0, name=f"c{number}")
        )
        old = f"app{(number + 3) % 7}:1"
        self._tell(old, None)
        if store.find_reference(Reference.parse(old)) is not None:
            store.remove_image(old, force=True)
        self._tell(old, None, done=True)
        for container in store.list_containers()[3:]:
            store.remove_container(container.id)

    def _tell(self, name: str, image: Digest | None, *, done: bool = False) -> None:
        line = json.dumps({"name": name, "image": image and image.encoded, "done": done})
        os.write(self._out, line.encode() + b"\n")

    def _layer(self, name: str, data: bytes) -> Layer:
        path = f"{self._directory}/source"
        with open(path, "wb") as file:
            file.write(data)
        content = Content(Digest.of(data), len(data), Extent(path))
        return Layer((Put("etc", Directory(mode=0o755)), Put(f"etc/{name}", File(mode=0o644, content=content))))

    def _file(self, upper: str, name: str) -> Put:
        data = f"{name} of {self._number}".encode() * 100
        with open(f"{upper}/{name}", "wb") as file:
            file.write(data)
        return Put(name, File(mode=0o644, content=Content(Digest.of(data), len(data), Extent(f"{upper}/{name}"))))

    def _config(self, layers: list[Digest], author: str) -> bytes:
        return encode_config(
            ImageConfig(
                architecture="amd64",
                os="linux",
                author=f"{author} {self._number}",
                created=format_time(self._number),
                rootfs=RootfsConfig(diff_ids=tuple(map(str, layers))),
            )
        )


def _unpack(layer: Layer, directory: str, _parent: Tree) -> None:
    for change in layer.changes:
        os.makedirs(f"{directory}/{change.path}")


def _kill_at(count: int) -> Callable[[str, object], None]:
    """Return an audit hook that ends this process at the system call number `count` of those that change something."""
    seen = itertools.count(1)

    def hook(event: str, _arguments: object) -> None:
        if event in _CHANGES and next(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _run(directory: str, number: int, *, at: int | None, after: float) -> tuple[bool, list[dict[str, object]]]:
    """Run a worker that is killed; return whether it was, and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if at is not None:
            sys.addaudithook(_kill_at(at))
        Worker(directory, number, writing).work()
        os._exit(0)
    os.close(writing)
    if at is None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with open(reading, encoding="utf-8") as file:
        said = [json.loads(line) for line in file if line.endswith("\n")]
    return os.WIFSIGNALED(status), said


def _look(directory: str, expected: dict[str, set[str | None]]) -> dict[str, int]:
    """Open the store and check everything that must hold; return how much there is of what."""
    root = f"{directory}/root"
    with Store.open(root, clock=time.time_ns) as store:
        assert store.lost == ()
        held: set[str] = set()
        images = store.list_images(ImageQuery(all=True))
        for summary in images:
            image = store.get_image(summary.id)
            assert Digest.of(image.config_bytes) == image.id
            assert tuple(tag.familiar for tag in image.tags) == summary.tags
            assert image.parent is None or store.get_image(image.parent).id == image.parent
            assert all(store.resolve(tag) == image.id for tag in summary.tags)
            assert image.size == sum(store.layer_size(diff_id) for diff_id in image.config.diff_ids)
            store.tree(image.config.diff_ids)
            held.update(diff_id.encoded for diff_id in image.config.diff_ids)
        parents = {summary.parent for summary in images}
        seen = [summary for summary in images if summary.tags or summary.id not in parents]
        stacks = {summary.id: _chains(store.get_image(summary.id).config.diff_ids) for summary in images}
        counts = Counter(chain for summary in seen for chain in stacks[summary.id])
        for summary in seen:
            shared = sum(store.layer_size(top) for chain, top in stacks[summary.id].items() if counts[chain] > 1)
            assert summary.shared_size == shared
        assert store.disk_usage().images == tuple(seen)
        for container in store.list_containers():
            assert all(store.has_layer(diff_id) for diff_id in container.diff_ids)
        layers = set(os.listdir(f"{root}/layers"))
        assert held <= layers
        for layer in layers:
            with store.open_layer_tar(Digest(layer)) as tar:
                while tar.read(CHUNK):
                    pass
        assert set(os.listdir(f"{root}/blobs/sha256")) <= layers
        assert os.listdir(f"{root}/ingest") == []
        for name, allowed in expected.items():
            found = store.find_reference(Reference.parse(name))
            encoded = None if found is None else found.encoded
            assert encoded in allowed, name
            expected[name] = {encoded}
        return {"images": len(images), "layers": len(layers), "names": len(store.list_references())}


def _chains(diff_ids: Sequence[Digest]) -> dict[Digest | None, Digest]:
    return {chain_id(diff_ids[: count + 1]): diff_id for count, diff_id in enumerate(diff_ids)}


def main(directory: str) -> None:
    """Kill workers, and look after each."""
    chance = random.Random(directory)  # noqa: S311 - nothing secret
    expected: dict[str, set[str | None]] = {}
    counts: dict[str, int] = {}
    killed = 0
    longest = 0.5
    number = 0
    while killed < _ROUNDS:
        number += 1
        at = chance.randrange(1, 140) if number % 3 else None
        start = time.monotonic()
        was_killed, said = _run(directory, number, at=at, after=chance.random() * longest)
        killed += was_killed
        if at is None and not was_killed:
            longest = min(longest, time.monotonic() - start)
        for step in said:
            name, image = str(step["name"]), step["image"]
            assert image is None or isinstance(image, str)
            # Until it is said to be done, it may be done or not.
            expected[name] = {image} if step["done"] else expected.get(name, {None}) | {image}
        counts = _look(directory, expected)
    print(json.dumps({"killed": killed, "rounds": number, **counts}))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main(sys.argv[1])
