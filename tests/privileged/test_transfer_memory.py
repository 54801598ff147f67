"""What a pull may take of memory, measured at the daemon."""

import hashlib
import zlib
from pathlib import Path

import pytest

from imagewright.archive.header import BLOCK
from imagewright.oci import Digest
from support.daemon import daemon
from support.fake_registry import OCI_MANIFEST, FakeRegistry, fake_registry
from support.unixhttp import request
from unit.archive.raw_tar import END, header

pytestmark = pytest.mark.privileged

FILES = 100_000
_SIZE = 300
_LIMIT = 150 << 20


def member(number: int) -> bytes:
    """Return a small file, in a directory of a hundred."""
    name = b"usr/lib/modules/package-%d/lib/file-%d.js" % (number // 100, number)
    return header(name, size=_SIZE) + (b"%d" % number).ljust(_SIZE, b".").ljust(BLOCK, b"\0")


def add_image(registry: FakeRegistry) -> None:
    """Put an image there whose layer has `FILES` small files."""
    packer, whole = zlib.compressobj(1, zlib.DEFLATED, 31), hashlib.sha256()
    packed = []
    for start in range(0, FILES, 1000):
        piece = b"".join(member(number) for number in range(start, start + 1000))
        whole.update(piece)
        packed.append(packer.compress(piece))
    whole.update(END)
    blob = b"".join((*packed, packer.compress(END), packer.flush()))
    config = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%b"]}}'
    config %= whole.hexdigest().encode()
    kind = "application/vnd.oci.image.%s"
    registry.add_manifest(
        "team/app",
        "1",
        OCI_MANIFEST,
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described(registry, kind % "config.v1+json", config),
            "layers": [described(registry, kind % "layer.v1.tar+gzip", blob)],
        },
    )


def described(registry: FakeRegistry, media_type: str, data: bytes) -> dict[str, object]:
    registry.add_blob("team/app", data)
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


def peak(pid: int) -> int:
    """Return the most resident bytes that the process had since this was last called."""
    status = Path(f"/proc/{pid}/status").read_text()
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_layer_of_many_small_files(tmp_path: Path) -> None:
    with fake_registry() as registry, daemon(str(tmp_path)) as running:
        add_image(registry)
        peak(running.process.pid)
        idle = peak(running.process.pid)
        status, answer = request(running.socket, "POST", f"/images/create?fromImage={registry.host}/team/app&tag=1")
        assert status == 200
        assert b"Downloaded newer image" in answer
        used = peak(running.process.pid) - idle
        assert used < _LIMIT
