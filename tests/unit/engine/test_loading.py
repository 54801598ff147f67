import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine.loading import load
from imagewright.errors import ImagewrightError
from imagewright.events import Event, Status, ignore
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.store import Store
from support.builder import Content, Member, archive

_PLATFORM = Platform("linux", "amd64")
_LAYER = archive({"f": "data"})
_DIFF_ID = hashlib.sha256(_LAYER).hexdigest()
_CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_DIFF_ID}"]}}
).encode()
_IMAGE = hashlib.sha256(_CONFIG).hexdigest()
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def _load(store: Store, files: dict[str, Content]) -> list[Reference | Digest]:
    data = io.BytesIO(archive(files))
    return load(store, data, platform=_PLATFORM, report=ignore, cancellation=Cancellation())


def _docker(**changes: Any) -> dict[str, Content]:
    entry = {"Config": "c.json", "RepoTags": ["a:1", "reg.example/b:2"], "Layers": ["l/layer.tar"], **changes}
    return {"c.json": _CONFIG, "l/layer.tar": _LAYER, "manifest.json": json.dumps([entry])}


def _layout(annotations: dict[str, str] | None = None, *, layer: bytes = _LAYER) -> dict[str, Content]:
    blobs = {hashlib.sha256(data).hexdigest(): data for data in (_CONFIG, layer)}
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{_IMAGE}", "size": len(_CONFIG)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": f"sha256:{list(blobs)[1]}", "size": len(layer)}],
        }
    ).encode()
    blobs[hashlib.sha256(manifest).hexdigest()] = manifest
    descriptor = {"mediaType": _MANIFEST_TYPE, "digest": f"sha256:{list(blobs)[2]}", "size": len(manifest)}
    index = {"schemaVersion": 2, "manifests": [{**descriptor, "annotations": annotations or {}}]}
    return {**{f"blobs/sha256/{name}": data for name, data in blobs.items()}, "index.json": json.dumps(index)}


def test_docker_archive_keeps_ids_and_names(store: Store) -> None:
    names = [Reference.parse("a:1"), Reference.parse("reg.example/b:2")]
    assert _load(store, _docker()) == names
    assert [store.resolve(name.canonical).encoded for name in names] == [_IMAGE, _IMAGE]
    assert store.get_image(store.resolve("a:1")).config_bytes == _CONFIG


def test_links_inside_the_archive_are_followed(store: Store) -> None:
    files = {**_docker(Layers=["old/layer.tar"]), "old/layer.tar": Member.symlink("../l/layer.tar")}
    assert len(_load(store, files)) == 2


def test_layout_with_a_full_name(store: Store) -> None:
    assert _load(store, _layout({"io.containerd.image.name": "docker.io/library/a:1"})) == [Reference.parse("a:1")]


@pytest.mark.parametrize("annotations", [{}, {"org.opencontainers.image.ref.name": "latest"}])
def test_layout_without_a_name_gives_the_id(store: Store, annotations: dict[str, str]) -> None:
    assert _load(store, _layout(annotations)) == [Digest(_IMAGE)]


def test_progress_names_the_layers(store: Store) -> None:
    events: list[Event] = []
    data = io.BytesIO(archive(_docker(RepoTags=None)))
    load(store, data, platform=_PLATFORM, report=events.append, cancellation=Cancellation())
    assert events == [Status("Loading layer", subject=_DIFF_ID[:12], current=len(_LAYER), total=len(_LAYER))]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"f": "x"},
        {"manifest.json": "{"},
        {"manifest.json": "[{}]"},
        {"manifest.json": "[" * 100_000},
        {"manifest.json": b" " * (5 << 20)},
        {"index.json": "[]"},
        _docker(Config="nope"),
        _docker(Config="../../etc/passwd"),
        _docker(Config="/etc/passwd"),
        _docker(Layers=[]),
        _docker(Layers=["nope"]),
        _docker(Layers=["c.json"]),
        _docker(RepoTags=["UPPER:1"]),
        _docker(RepoTags=["a"]),
        {**_docker(), "c.json": "[]"},
        {**_docker(), "l/layer.tar": archive({"f": "other"})},
        {**_docker(), "c.json": Member.symlink("/etc/passwd")},
        {**_layout(), f"blobs/sha256/{_DIFF_ID}": "other"},
        {name: data for name, data in _layout().items() if _DIFF_ID not in name},
    ],
)
def test_archives_that_are_refused_leave_nothing(store: Store, tmp_path: Path, files: dict[str, Content]) -> None:
    with pytest.raises(ImagewrightError) as caught:
        _load(store, files)
    assert str(tmp_path) not in str(caught.value)
    assert store.image_count() == 0
    assert not list((tmp_path / "root" / "ingest").iterdir())
