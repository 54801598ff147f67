import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.archive import Compression
from imagewright.cancellation import Cancellation
from imagewright.engine.importing import import_image
from imagewright.engine.pulling import pull
from imagewright.engine.pushing import push
from imagewright.errors import ImagewrightError, NotFound
from imagewright.events import Event, Status
from imagewright.oci import Digest, ImageConfig, RootfsConfig, encode_config
from imagewright.reference import Reference
from imagewright.registry import Client
from imagewright.store import Store
from support.builder import archive
from support.fake_registry import DOCKER_MANIFEST, OCI_MANIFEST, FakeRegistry, fake_registry, make_image, status
from support.registry_world import AMD64, settings

LAYER = archive({"a": "one"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def send(
    store: Store, name: Reference, *, all_tags: bool = False, compression: Compression | None = None
) -> list[Event]:
    events: list[Event] = []
    with Client(settings()) as client:
        push(
            store,
            client,
            name,
            all_tags=all_tags,
            compression=compression,
            report=events.append,
            cancellation=Cancellation(),
        )
    return events


def fetch(store: Store, name: Reference) -> Digest:
    with Client(settings()) as client:
        return pull(store, client, name, platform=AMD64, report=lambda _: None, cancellation=Cancellation())


def sent(registry: FakeRegistry, repository: str, tag: str = "1") -> tuple[str, list[str]]:
    """Return the media types of a manifest and of its layers."""
    held = registry.repository(repository)
    manifest = json.loads(held.manifests[held.tags[tag]])
    assert registry.repository(repository).blobs.keys() >= {layer["digest"] for layer in manifest["layers"]}
    return manifest["mediaType"], [layer["mediaType"].rpartition(".")[2] for layer in manifest["layers"]]


def add(store: Store, name: Reference) -> Digest:
    return import_image(
        store,
        io.BytesIO(LAYER),
        references=[name],
        changes=(),
        message="",
        platform=AMD64,
        clock=lambda: 1,
        cancellation=Cancellation(),
    )


def messages(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Status) and event.message != "Pushing"]


def test_a_new_image_and_the_same_again(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = add(store, name)
    first = send(store, name)
    digest = registry.repository("team/app").tags["1"]
    size = len(registry.repository("team/app").manifests[digest])
    assert messages(first) == [
        f"The push refers to repository [{registry.host}/team/app]",
        "Preparing",
        "Pushed",
        f"1: digest: {digest} size: {size}",
        "",
    ]
    assert first[-1] == Status("", extra={"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": size}})
    assert [str(found.digest) for found in store.get_image(image).digests] == [digest]
    registry.server.requests.clear()
    assert "Layer already exists" in messages(send(store, name))
    assert {request.method for request in registry.server.requests} <= {"GET", "HEAD"}


def test_a_pulled_image_keeps_its_digest(store: Store, registry: FakeRegistry) -> None:
    digest = make_image(registry, "team/app", "1", LAYER)
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = fetch(store, name)
    other = Reference.parse(f"{registry.host}/other/app:2")
    store.tag(image, other)
    assert "Mounted from team/app" in messages(send(store, other))
    assert registry.repository("other/app").tags == {"2": digest}
    with fake_registry() as elsewhere:
        far = Reference.parse(f"{elsewhere.host}/app:3")
        store.tag(image, far)
        send(store, far, all_tags=True)
        assert elsewhere.repository("app").tags == {"3": digest}


def test_what_is_not_here(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    with pytest.raises(NotFound, match="An image does not exist locally with the tag"):
        send(store, name)
    add(store, name)
    with pytest.raises(NotFound, match="tag does not exist"):
        send(store, name.with_tag("2"))


def test_zstd(store: Store, registry: FakeRegistry, tmp_path: Path) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = add(store, name)
    send(store, name, compression="zstd")
    assert sent(registry, "team/app") == (OCI_MANIFEST, ["tar+zstd"])
    digest = registry.repository("team/app").tags["1"]
    assert [str(found.digest) for found in store.get_image(image).digests] == [digest]
    with Store.open(str(tmp_path / "other"), clock=lambda: 1) as other:
        assert fetch(other, name) == image
        again = name.with_tag("2")
        other.tag(image, again)
        send(other, again)
        assert registry.repository("team/app").tags["2"] == digest


def test_another_compression_than_before(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = add(store, name)
    steps: tuple[tuple[Compression, tuple[str, list[str]]], ...] = (
        ("zstd", (OCI_MANIFEST, ["tar+zstd"])),
        ("gzip", (DOCKER_MANIFEST, ["gzip"])),
        ("zstd", (OCI_MANIFEST, ["tar+zstd"])),
    )
    for compression, expected in steps:
        send(store, name, compression=compression)
        assert sent(registry, "team/app") == expected
    (diff_id,) = store.get_image(image).config.diff_ids
    assert [blob.compression for blob in store.blobs.find(diff_id)] == ["zstd", "gzip"]
    registry.server.requests.clear()
    send(store, name, compression="zstd")
    assert {request.method for request in registry.server.requests} <= {"GET", "HEAD"}


def test_a_layer_that_came_with_zstd_stays_so(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    base = store.get_image(add(store, name))
    send(store, name, compression="zstd")
    layer = store.add_layer_stream(io.BytesIO(archive({"b": "two"})))
    rootfs = RootfsConfig(diff_ids=(*map(str, base.config.diff_ids), str(layer)))
    config = ImageConfig(architecture="amd64", os="linux", rootfs=rootfs)
    made = name.with_tag("2")
    store.add_image(encode_config(config), references=[made])
    send(store, made)
    assert sent(registry, "team/app", "2") == (OCI_MANIFEST, ["tar+zstd", "tar+gzip"])
    far = Reference.parse(f"{registry.host}/team/far:2")
    store.tag(store.resolve(made.familiar), far)
    send(store, far, compression="gzip")
    assert sent(registry, "team/far", "2") == (DOCKER_MANIFEST, ["gzip", "gzip"])


def test_the_same_layer_twice_is_packed_once(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    layer = store.add_layer_stream(io.BytesIO(LAYER))
    config = ImageConfig(architecture="amd64", os="linux", rootfs=RootfsConfig(diff_ids=(str(layer), str(layer))))
    store.add_image(encode_config(config), references=[name])
    assert messages(send(store, name)).count("Pushed") == 1
    assert sent(registry, "team/app") == (DOCKER_MANIFEST, ["gzip", "gzip"])


def test_a_push_that_fails_leaves_no_half_of_a_form(store: Store, registry: FakeRegistry, tmp_path: Path) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = add(store, name)
    registry.fault("PUT .*/blobs/uploads/.*", status(403), times=100)
    with pytest.raises(ImagewrightError):
        send(store, name)
    assert store.get_image(image).digests == ()
    assert store.blobs.list_manifests(image) == []
    assert list((tmp_path / "root" / "ingest").iterdir()) == []
