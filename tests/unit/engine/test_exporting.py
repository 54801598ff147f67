import io
import tarfile
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine.exporting import export_files
from imagewright.errors import Cancelled
from imagewright.oci import Digest, ImageConfig, RootfsConfig, encode_config
from imagewright.store import Store
from support.builder import Content, Member, archive

LAYERS: tuple[dict[str, Content], ...] = (
    {
        "bin": Member.directory(),
        "bin/sh": Member(b"shell", mode=0o4755, uid=1, gid=2),
        "bin/ls": Member.hard_link("bin/sh"),
        "gone": "x",
    },
    {".wh.gone": "", "link": Member.symlink("../../etc"), "bin/sh2": "other"},
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "root"), clock=lambda: 0)


@pytest.fixture
def image(store: Store) -> Digest:
    diff_ids = [str(store.add_layer_stream(io.BytesIO(archive(members)))) for members in LAYERS]
    config = ImageConfig(architecture="amd64", os="linux", rootfs=RootfsConfig(diff_ids=tuple(diff_ids)))
    return store.add_image(encode_config(config))


def test_the_layers_are_one(store: Store, image: Digest) -> None:
    out = io.BytesIO()
    export_files(store, image, out, cancellation=Cancellation())
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as tar:
        members = {member.name: member for member in tar}
        assert list(members) == ["bin", "bin/ls", "bin/sh", "bin/sh2", "link"]
        # The first of the names has the file.
        assert (members["bin/ls"].mode, members["bin/ls"].uid, members["bin/ls"].gid) == (0o4755, 1, 2)
        assert members["bin/sh"].linkname == "bin/ls"
        assert members["link"].linkname == "../../etc"
        file = tar.extractfile("bin/sh")
        assert file is not None
        assert file.read() == b"shell"


def test_cancelled(store: Store, image: Digest) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        export_files(store, image, io.BytesIO(), cancellation=cancellation)
