import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.archive import CHUNK
from imagewright.cancellation import Cancellation
from imagewright.engine.loading import load
from imagewright.engine.saving import save
from imagewright.errors import Cancelled, InvalidInput, NotFound
from imagewright.events import ignore
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.store import Store
from support.builder import archive

_NAMES = ("a:1", "a:2", "reg.example:5000/team/a:3", "b:1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def _add(store: Store, *names: str, layers: int = 2, **changes: Any) -> Digest:
    with store.lease():
        diff_ids = [
            str(store.add_layer_stream(io.BytesIO(archive({f"f{number}": "data"})))) for number in range(layers)
        ]
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, **changes}
        references = [Reference.parse(name) for name in names]
        return store.add_image(json.dumps(config).encode(), references=references)


def _save(store: Store, *names: str, platform: Platform | None = None) -> bytes:
    out = io.BytesIO()
    try:
        save(store, names, out, platform=platform, cancellation=Cancellation())
    except Exception:
        assert not out.getvalue()
        raise
    return out.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar if member.isfile()}


def _saved(data: bytes) -> list[tuple[str, list[str] | None]]:
    """Return the id and the names of each image in an archive."""
    listed = json.loads(_members(data)["manifest.json"])
    return [(entry["Config"].rpartition("/")[2], entry["RepoTags"]) for entry in listed]


@pytest.mark.parametrize(
    ("names", "tags"),
    [
        (["a:1"], ["a:1"]),
        (["docker.io/library/a:1"], ["a:1"]),
        (["a"], ["a:1", "a:2"]),
        (["index.docker.io/library/a"], ["a:1", "a:2"]),
        (["reg.example:5000/team/a"], ["reg.example:5000/team/a:3"]),
        (["a:2", "reg.example:5000/team/a:3", "a:2"], ["a:2", "reg.example:5000/team/a:3"]),
        (["ID"], None),
        (["sha256:ID"], None),
        (["ID12"], None),
        (["sha256:ID12"], None),
        (["ID", "a:1"], ["a:1"]),
    ],
)
def test_names(store: Store, names: list[str], tags: list[str] | None) -> None:
    image = _add(store, *_NAMES[:3])
    wanted = [name.replace("ID12", image.encoded[:12]).replace("ID", image.encoded) for name in names]
    assert _saved(_save(store, *wanted)) == [(image.encoded, tags)]


def test_names_by_digest_are_saved_without_a_name(store: Store) -> None:
    image = _add(store, f"a@sha256:{'1' * 64}")
    assert _saved(_save(store, f"a@sha256:{'1' * 64}")) == [(image.encoded, None)]
    assert _saved(_save(store, f"a:1@sha256:{'1' * 64}")) == [(image.encoded, None)]
    assert _saved(_save(store, "a")) == [(image.encoded, None)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nope", "No such image: nope"),
        ("sha256:abcd", "No such image: sha256:abcd"),
        ("0" * 64, f"No such image: {'0' * 64}"),
        ("a:nope", "reference does not exist"),
        (f"a@sha256:{'0' * 64}", "reference does not exist"),
    ],
)
def test_names_of_nothing(store: Store, name: str, message: str) -> None:
    _add(store, "a:1")
    with pytest.raises(NotFound, match=f"^{message}$"):
        _save(store, "a:1", name)


@pytest.mark.parametrize("name", ["", ":", "UPPER", "a:1 ", "../a"])
def test_what_is_no_name(store: Store, name: str) -> None:
    with pytest.raises(InvalidInput, match="invalid reference format"):
        _save(store, name)


def test_no_names(store: Store) -> None:
    assert _members(_save(store)) == {"manifest.json": b"null\n"}


def test_the_archive_is_of_both_kinds(store: Store) -> None:
    image = _add(store, *_NAMES[:3])
    files = _members(_save(store, *_NAMES[:3]))
    (entry,) = json.loads(files["manifest.json"])
    assert sorted(entry) == ["Config", "Layers", "RepoTags"]
    for path in [entry["Config"], *entry["Layers"]]:
        assert hashlib.sha256(files[path]).hexdigest() == path.rpartition("/")[2]
    top = entry["Layers"][-1].rpartition("/")[2]
    assert json.loads(files["repositories"]) == {"a": {"1": top, "2": top}, "reg.example:5000/team/a": {"3": top}}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    descriptors = json.loads(files["index.json"])["manifests"]
    names = [descriptor["annotations"]["io.containerd.image.name"] for descriptor in descriptors]
    assert names == ["docker.io/library/a:1", "docker.io/library/a:2", "reg.example:5000/team/a:3"]
    assert [d["annotations"]["org.opencontainers.image.ref.name"] for d in descriptors] == ["1", "2", "3"]
    assert descriptors[0]["platform"] == {"architecture": "amd64", "os": "linux"}
    manifest = json.loads(files[f"blobs/sha256/{descriptors[0]['digest'].partition(':')[2]}"])
    assert manifest["config"]["digest"] == str(image)
    for descriptor in [descriptors[0], manifest["config"], *manifest["layers"]]:
        data = files[f"blobs/sha256/{descriptor['digest'].partition(':')[2]}"]
        assert (descriptor["digest"], descriptor["size"]) == (f"sha256:{hashlib.sha256(data).hexdigest()}", len(data))


def test_equal_images_give_equal_bytes(store: Store, tmp_path: Path) -> None:
    _add(store, *_NAMES[:3])
    data = _save(store, "a", "reg.example:5000/team/a")
    with Store.open(str(tmp_path / "other"), clock=lambda: 2) as other:
        load(other, io.BytesIO(data), platform=Platform("", ""), report=ignore, cancellation=Cancellation())
        assert _save(other, "a", "reg.example:5000/team/a") == data


def test_layers_that_images_share_are_written_once(store: Store) -> None:
    _add(store, "a:1")
    _add(store, "b:1", author="somebody")
    with tarfile.open(fileobj=io.BytesIO(_save(store, "a:1", "b:1"))) as tar:
        names = tar.getnames()
    assert len(names) == len(set(names))
    assert sum(name.startswith("blobs/sha256/") for name in names) == 2 + 2 * 2


def test_the_same_layer_twice_and_none_at_all(store: Store) -> None:
    with store.lease():
        diff_id = str(store.add_layer_stream(io.BytesIO(archive({"f": "data"}))))
        config = {"rootfs": {"type": "layers", "diff_ids": [diff_id, diff_id]}}
        twice = store.add_image(json.dumps(config).encode(), references=[Reference.parse("twice:1")])
    none = _add(store, "none:1", layers=0)
    data = _save(store, "twice:1", "none:1")
    assert _saved(data) == [(twice.encoded, ["twice:1"]), (none.encoded, ["none:1"])]
    assert json.loads(_members(data)["repositories"])["none"] == {"1": ""}


def test_parents_within_the_archive(store: Store) -> None:
    parent = _add(store, "parent:1")
    child = _add(store, "child:1", author="somebody")
    store.add_image(store.get_image(child).config_bytes, parent=parent)
    assert ["Parent" in entry for entry in json.loads(_members(_save(store, "child"))["manifest.json"])] == [False]
    entries = json.loads(_members(_save(store, "child", "parent"))["manifest.json"])
    assert [entry.get("Parent") for entry in entries] == [str(parent), None]


def test_platforms(store: Store) -> None:
    _add(store, "a:1", architecture="arm", variant="v7")
    for platform in (Platform("linux", "arm", "v7"), Platform("linux", "arm")):
        assert len(_saved(_save(store, "a:1", platform=platform))) == 1
    for platform in (Platform("linux", "amd64"), Platform("linux", "arm", "v6")):
        with pytest.raises(NotFound, match=f"^no suitable export target found for platform {platform}$"):
            _save(store, "a:1", platform=platform)


def test_cancelled_in_the_middle_of_a_layer(store: Store) -> None:
    with store.lease():
        diff_id = str(store.add_layer_stream(io.BytesIO(archive({"f": bytes(5 * CHUNK)}))))
        config = {"rootfs": {"type": "layers", "diff_ids": [diff_id]}}
        store.add_image(json.dumps(config).encode(), references=[Reference.parse("a:1")])
    cancellation = Cancellation()

    class Out:
        size = 0

        def write(self, data: bytes) -> None:
            self.size += len(data)
            cancellation.cancel()

    out = Out()
    with pytest.raises(Cancelled):
        save(store, ["a:1"], out, cancellation=cancellation)
    assert 0 < out.size < 3 * CHUNK
