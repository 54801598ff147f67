"""A data root that is full: what is being done is told, nothing of it is left, and the daemon goes on."""

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from support.bases import busybox_base
from support.builder import Content, archive, context
from support.daemon import Daemon, daemon
from support.engines import leftovers
from support.fake_registry import FakeRegistry, fake_registry, make_image
from support.unixhttp import request

pytestmark = pytest.mark.privileged

_MIB = 1 << 20
_SIZE = 32 * _MIB
# So much is free when a test begins; each wants more than that.
_FREE = 6 * _MIB
_CHUNK = os.urandom(_MIB)


@dataclass(frozen=True)
class FullDisk:
    """A daemon whose data root has `_FREE` bytes left."""

    daemon: Daemon
    registry: FakeRegistry

    def send(self, target: str, data: bytes = b"") -> str:
        """Return the error that the answer to a request ends with, "" for none."""
        status, body = request(self.daemon.socket, "POST", target, data)
        last = json.loads(body.splitlines()[-1])
        return str(last.get("error", "")) if status == 200 else str(last["message"])

    def build(self, dockerfile: str, files: dict[str, Content] | None = None, query: str = "") -> str:
        return self.send(f"/build?forcerm=1&{query}", context(dockerfile, files))

    def used(self) -> int:
        found = os.statvfs(self.daemon.data_root)
        return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullDisk]:
    directory = tmp_path_factory.mktemp("disk")
    (directory / "data").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", directory / "data"], check=True)
    try:
        with fake_registry() as registry, daemon(str(directory)) as running:
            found = FullDisk(running, registry)
            assert found.send("/images/create?fromSrc=-&repo=busybox", busybox_base()) == ""
            assert found.build("FROM busybox\nRUN true\n") == ""
            seed = "FROM busybox\nRUN mkdir /s && dd if=/dev/urandom of=/s/f bs=1024 count=7168\n"
            assert found.build(seed, query="t=seed") == ""
            with (directory / "data" / "ballast").open("wb") as ballast:
                os.posix_fallocate(ballast.fileno(), 0, _SIZE - _FREE - found.used())
            yield found
    finally:
        subprocess.run(["umount", "-l", directory / "data"], check=True)


_BIG = archive({"big": _CHUNK * 8})
_NO_SPACE = "No space left on device"
_BUILDS: dict[str, tuple[str, dict[str, Content], str]] = {
    "context": ("FROM busybox\nCOPY big /\n", {"big": _CHUNK * 8}, "cannot keep the build context"),
    "copy": ("FROM busybox\nCOPY big /\n", {"big": _CHUNK * 4}, "cannot write a layer"),
    "cache": (
        "FROM busybox\nRUN --mount=type=cache,target=/c,from=seed,source=/s ls /c\n",
        {},
        "cannot fill the cache directory /c: cannot write a file",
    ),
    "output": ("FROM busybox\nRUN yes | head -c 9000000\n", {}, "cannot keep what a RUN prints"),
    "capture": ("FROM busybox\nRUN for i in $(seq 2500); do echo $i > /f$i; done; true\n", {}, "cannot keep a layer"),
}


@pytest.fixture(autouse=True)
def nothing_left(disk: FullDisk) -> Iterator[None]:
    """Check that the daemon goes on, that what was kept can be removed, and that then nothing more is used."""
    before = disk.used()
    yield
    _, answer = request(disk.daemon.socket, "GET", "/containers/json?all=1")
    for container in json.loads(answer):
        assert request(disk.daemon.socket, "DELETE", f"/containers/{container['Id']}")[0] == 204
    assert [path for path in leftovers(disk.daemon.data_root) if path != disk.daemon.data_root] == []
    assert disk.used() - before < _MIB // 4
    assert disk.build("FROM busybox\nRUN true\n") == ""


def test_what_is_brought_here(disk: FullDisk) -> None:
    make_image(disk.registry, "big", "1", _BIG)
    name = f"{disk.registry.host}/big"
    assert disk.send("/images/create?fromSrc=-", _BIG) == f"cannot keep a layer: {_NO_SPACE}"
    assert disk.send("/images/load", archive({"big": _CHUNK * 8})) == f"cannot keep the archive: {_NO_SPACE}"
    assert disk.send(f"/images/create?fromImage={name}&tag=1") == f"cannot keep a layer: {_NO_SPACE}"
    assert disk.build(f"FROM {name}:1\n") == f"cannot keep a layer: {_NO_SPACE}"


@pytest.mark.parametrize("name", _BUILDS)
def test_what_is_built(disk: FullDisk, name: str) -> None:
    dockerfile, files, doing = _BUILDS[name]
    # Without `forcerm`, so that the container is to be kept, too, on a disk on which there is no room for it.
    assert disk.send("/build", context(dockerfile, files)) == f"{doing}: {_NO_SPACE}"


def test_a_run_that_fills_the_disk_can_be_removed(disk: FullDisk) -> None:
    dockerfile = "FROM busybox\nRUN dd if=/dev/zero of=/f bs=4096; exit 3\n"
    assert disk.send("/build", context(dockerfile)).endswith("returned a non-zero code: 3")
    assert disk.used() > _SIZE - _MIB // 4
