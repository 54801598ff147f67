"""The store after pulls, pushes and loads that were killed with SIGKILL, at many points of their work.

This file is also the program that is killed: it forks a worker for each round, which kills itself at a certain system
call, or is killed after a certain time, and then looks at what is left.
"""

import gzip
import hashlib
import io
import itertools
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.archive import CHUNK, Compression, decompress
from imagewright.cancellation import Cancellation
from imagewright.engine.loading import load
from imagewright.engine.pulling import pull
from imagewright.engine.pushing import push
from imagewright.events import ignore
from imagewright.oci import Digest, ImageConfig, Platform, RootfsConfig, encode_config
from imagewright.reference import Reference
from imagewright.registry import Client, Settings
from imagewright.store import ImageQuery, Store
from support.builder import archive
from support.fake_registry import fake_registry, make_image

AMD64 = Platform("linux", "amd64")
_CHANGES = frozenset({"os.rename", "os.mkdir", "os.remove", "os.rmdir", "open", "socket.connect", "sqlite3.connect"})
_ROUNDS = 30
_TAGS = 5


def layer(number: int) -> bytes:
    source = random.Random(number)  # noqa: S311 - the same in each run
    return archive({f"layer{number}/{name}": source.randbytes(3000) + bytes(3000) for name in range(10)})


@pytest.mark.privileged
def test_killed_at_any_moment(tmp_path: Path) -> None:
    search = os.pathsep.join(path for path in sys.path if path)
    with fake_registry() as registry:
        for number in range(_TAGS):
            # Neighbours have a layer in common.
            make_image(registry, "team/base", str(number), layer(number), layer((number + 1) % _TAGS))
        program = [sys.executable, __file__, str(tmp_path), registry.host]
        done = subprocess.run(
            program, env={**os.environ, "PYTHONPATH": search}, capture_output=True, text=True, timeout=110, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for repository in ("team/base", "team/made"):
            for digest, data in registry.repository(repository).blobs.items():
                assert str(Digest.of(data)) == digest
    report = json.loads(done.stdout)
    assert report["killed"] == _ROUNDS
    assert report["images"] > 0
    assert report["forms"] > 0
    assert report["pushed"]


@dataclass
class Worker:
    """Does one round of everything, and says on `out` which names it has given for good."""

    store: Store
    client: Client
    host: str
    number: int
    out: int

    def work(self) -> None:
        """Pull an image, push one that was made here, load one, and remove older ones."""
        number = self.number
        base = Reference.parse(f"{self.host}/team/base:{number % _TAGS}")
        image = pull(self.store, self.client, base, platform=AMD64, report=ignore, cancellation=Cancellation())
        self._tell(base, image)
        self._tell(*self._push(Reference.parse(f"{self.host}/team/made:{number}"), "zstd" if number % 2 else "gzip"))
        (name,) = load(
            self.store,
            io.BytesIO(_archive(number, f"loaded:{number % _TAGS}")),
            platform=AMD64,
            report=ignore,
            cancellation=Cancellation(),
        )
        assert isinstance(name, Reference)
        self._tell(name, self.store.find_reference(name))
        for old in (f"{self.host}/team/base:{(number + 2) % _TAGS}", f"{self.host}/team/made:{max(0, number - 3)}"):
            if self.store.find_reference(Reference.parse(old)) is not None:
                self._tell(Reference.parse(old), None)
                self.store.remove_image(old, force=True)

    def _push(self, name: Reference, compression: Compression) -> tuple[Reference, Digest]:
        """Make an image of a new layer on one that may be here, and push it twice, as it is and compressed."""
        with self.store.lease():
            layers = [self.store.add_layer_stream(io.BytesIO(layer(number))) for number in (self.number, 0)]
            image = self.store.add_image(_config(*layers), references=[name])
        for wanted in (None, compression):
            push(
                self.store,
                self.client,
                name,
                all_tags=False,
                compression=wanted,
                report=ignore,
                cancellation=Cancellation(),
            )
        return name, image

    def _tell(self, name: Reference, image: Digest | None) -> None:
        line = json.dumps({"name": name.familiar, "image": image and image.encoded})
        os.write(self.out, line.encode() + b"\n")


def _config(*layers: Digest) -> bytes:
    rootfs = RootfsConfig(diff_ids=tuple(map(str, layers)))
    return encode_config(ImageConfig(architecture="amd64", os="linux", rootfs=rootfs))


def _archive(number: int, name: str) -> bytes:
    """Return a docker-archive with a compressed layer."""
    data = layer(number % _TAGS)
    manifest = [{"Config": "config", "RepoTags": [name], "Layers": ["layer"]}]
    config = _config(Digest.of(data))
    return archive({"layer": gzip.compress(data), "config": config, "manifest.json": json.dumps(manifest).encode()})


def _kill_at(count: int) -> Callable[[str, object], None]:
    """Return an audit hook that ends this process at the system call number `count` of those that change something."""
    seen = itertools.count(1)

    def hook(event: str, _arguments: object) -> None:
        if event in _CHANGES and next(seen) == count:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def _run(root: str, host: str, number: int, *, at: int | None, after: float) -> tuple[bool, dict[str, str | None]]:
    """Run a worker that is killed; return whether it was, and the names that it gave, or took, for good."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        if at is not None:
            sys.addaudithook(_kill_at(at))
        settings = Settings(certificates="/nonexistent", environment={})
        Worker(Store.open(root, clock=time.time_ns), Client(settings), host, number, writing).work()
        os._exit(0)
    os.close(writing)
    if at is None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    with open(reading, encoding="utf-8") as file:
        said = [json.loads(line) for line in file if line.endswith("\n")]
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status), {str(step["name"]): step["image"] for step in said}


def _look(root: str, expected: dict[str, str | None]) -> dict[str, int]:
    """Open the store, sweep, and check everything that must hold; return how much there is of what."""
    with Store.open(root, clock=time.time_ns) as store:
        assert store.lost == ()
        assert os.listdir(f"{root}/ingest") == []
        store.sweep()
        held: set[Digest] = set()
        images = store.list_images(ImageQuery(all=True))
        for summary in images:
            image = store.get_image(summary.id)
            assert Digest.of(image.config_bytes) == image.id
            held.update(image.config.diff_ids)
            for manifest in store.blobs.list_manifests(image.id):
                assert Digest.of(manifest.data) == manifest.digest
        assert set(os.listdir(f"{root}/layers")) == {diff_id.encoded for diff_id in held}
        assert set(os.listdir(f"{root}/blobs/sha256")) == {diff_id.encoded for diff_id in held}
        forms = sum(_check_layer(store, root, diff_id) for diff_id in held)
        for name, image_id in expected.items():
            found = store.find_reference(Reference.parse(name))
            # What was to be removed may be gone or not; what was given stays.
            assert image_id is None or (found is not None and found.encoded == image_id), name
    _check_rows(root, {diff_id.encoded for diff_id in held}, {summary.id.encoded for summary in images})
    return {"images": len(images), "forms": forms}


def _check_layer(store: Store, root: str, diff_id: Digest) -> int:
    """Check the bytes of a layer and of its compressed forms; return how many of these there are."""
    with store.open_layer_tar(diff_id) as tar:
        while tar.read(CHUNK):
            pass
    forms = store.blobs.find(diff_id)
    files = {name for name in os.listdir(f"{root}/layers/{diff_id.encoded}") if name.startswith("blob-")}
    assert files == {f"blob-{form.digest.encoded}" for form in forms}
    for form in forms:
        with store.blobs.open(diff_id, form.digest) as file:
            data = file.read()
        assert (Digest.of(data), len(data)) == (form.digest, form.size)
        whole = hashlib.sha256(b"".join(_pieces(data)))
        assert whole.hexdigest() == diff_id.encoded
    return len(forms)


def _pieces(packed: bytes) -> Iterator[bytes]:
    unpacked = decompress(io.BytesIO(packed))
    while piece := unpacked.read(CHUNK):
        yield piece


def _check_rows(root: str, layers: set[str], images: set[str]) -> None:
    """Check that no row speaks of what is not there."""
    database = sqlite3.connect(f"file:{root}/db.sqlite?mode=ro", uri=True)
    for table, column, known in (
        ("blobs", "diff_id", layers),
        ("places", "diff_id", layers),
        ("manifests", "image", images),
    ):
        rows = database.execute(f"SELECT DISTINCT {column} FROM {table}")  # noqa: S608 - names from above
        assert {str(value) for (value,) in rows} <= known, table
    database.close()


def _push_all(root: str, host: str) -> bool:
    """Push every image that is left, whatever happened to it; return whether there were any."""
    with (
        Store.open(root, clock=time.time_ns) as store,
        Client(Settings(certificates="/nonexistent", environment={})) as client,
    ):
        names = [name for name, _ in store.list_references() if name.registry == host and name.tag]
        for name in names:
            push(store, client, name, all_tags=False, report=ignore, cancellation=Cancellation())
    return bool(names)


def main(directory: str, host: str) -> None:
    """Kill workers, and look after each."""
    root = f"{directory}/root"
    chance = random.Random(directory)  # noqa: S311 - nothing secret
    expected: dict[str, str | None] = {}
    counts: dict[str, int] = {}
    killed = number = 0
    longest = 0.4
    while killed < _ROUNDS:
        number += 1
        at = chance.randrange(1, 120) if number % 3 else None
        start = time.monotonic()
        was_killed, said = _run(root, host, number, at=at, after=chance.random() * longest)
        killed += was_killed
        if at is None and not was_killed:
            longest = min(longest, time.monotonic() - start)
        expected.update(said)
        counts = _look(root, expected)
    pushed = _push_all(root, host)
    print(json.dumps({"killed": killed, "rounds": number, "pushed": pushed, **counts}))  # noqa: T201 - for the test


if __name__ == "__main__":
    main(*sys.argv[1:])
