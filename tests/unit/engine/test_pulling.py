import contextlib
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import zstd

from imagewright.cancellation import Cancellation
from imagewright.engine.pulling import pull, pull_tags
from imagewright.errors import Cancelled, Corrupt, ImagewrightError, NotFound
from imagewright.events import Event, Status
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Client
from imagewright.store import Store
from support.builder import archive
from support.fake_registry import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    FakeRegistry,
    cut,
    fake_registry,
    make_image,
    status,
)
from support.registry_faults import tampered
from support.registry_world import AMD64, settings

LAYERS = (archive({"a": "one"}), archive({"b/c": "two"}), archive({"a": "three"}))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def fetch(
    store: Store,
    registry: FakeRegistry,
    name: str = "team/app:1",
    *,
    events: list[Event] | None = None,
    platform: Platform = AMD64,
    asked: Platform | None = None,
    cancellation: Cancellation | None = None,
) -> Digest:
    with Client(settings(), sleep=lambda _seconds: None) as client:
        return pull(
            store,
            client,
            Reference.parse(f"{registry.host}/{name}"),
            platform=platform,
            asked=asked,
            report=(events if events is not None else []).append,
            cancellation=cancellation or Cancellation(),
        )


def told(events: list[Event]) -> list[tuple[str, str]]:
    """Return messages and their subjects, without those that only say how far something is."""
    statuses = [event for event in events if isinstance(event, Status)]
    return [(event.subject, event.message) for event in statuses if event.message != "Downloading"]


def left(root: Path) -> list[str]:
    return [str(path) for name in ("ingest", "layers", "blobs/sha256") for path in (root / name).iterdir()]


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_an_image(store: Store, registry: FakeRegistry, media_type: str) -> None:
    digest = make_image(registry, "team/app", "1", *LAYERS, media_type=media_type)
    image = store.get_image(fetch(store, registry))
    assert image.config.diff_ids == tuple(map(Digest.of, LAYERS))
    assert [tag.familiar for tag in image.tags] == [f"{registry.host}/team/app:1"]
    assert [name.familiar for name in image.digests] == [f"{registry.host}/team/app@{digest}"]
    (manifest,) = store.blobs.list_manifests(image.id)
    assert (str(manifest.digest), manifest.media_type) == (digest, media_type)
    for layer in LAYERS:
        blob = gzip.compress(layer, mtime=0)
        (kept,) = store.blobs.find(Digest.of(layer))
        assert (kept.digest, kept.size, kept.compression) == (Digest.of(blob), len(blob), "gzip")
        assert kept.repositories == {f"{registry.host}/team/app"}
        with store.blobs.open(Digest.of(layer), kept.digest) as file:
            assert file.read() == blob


def test_what_is_told(store: Store, registry: FakeRegistry) -> None:
    digest = make_image(registry, "team/app", "1", LAYERS[0])
    subject = Digest.of(gzip.compress(LAYERS[0], mtime=0)).short
    name = f"{registry.host}/team/app:1"
    first: list[Event] = []
    fetch(store, registry, events=first)
    size = len(gzip.compress(LAYERS[0], mtime=0))
    assert Status("Downloading", subject, size, size) in first
    assert told(first) == [
        ("1", "Pulling from team/app"),
        (subject, "Pulling fs layer"),
        (subject, "Verifying Checksum"),
        (subject, "Download complete"),
        (subject, "Extracting"),
        (subject, "Pull complete"),
        ("", f"Digest: {digest}"),
        ("", f"Status: Downloaded newer image for {name}"),
    ]
    again: list[Event] = []
    fetch(store, registry, events=again)
    assert told(again)[-1] == ("", f"Status: Image is up to date for {name}")
    assert not [request for request in registry.server.requests[-2:] if f"blobs/{subject}" in request.path]


def test_by_digest(store: Store, registry: FakeRegistry) -> None:
    digest = make_image(registry, "team/app", "1", *LAYERS)
    events: list[Event] = []
    image = store.get_image(fetch(store, registry, f"team/app@{digest}", events=events))
    assert (image.tags, len(image.digests)) == ((), 1)
    assert told(events)[0] == (digest, "Pulling from team/app")
    assert told(events)[-1] == ("", f"Status: Downloaded newer image for {registry.host}/team/app@{digest}")


def test_an_index(store: Store, registry: FakeRegistry) -> None:
    machines = {
        machine: make_image(registry, "team/app", "", archive({"m": machine}), architecture=machine)
        for machine in ("arm64", "amd64")
    }
    manifests = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": digest,
            "size": len(registry.repository("team/app").manifests[digest]),
            "platform": {"os": "linux", "architecture": machine},
        }
        for machine, digest in machines.items()
    ]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    digest = registry.add_manifest("team/app", "1", OCI_INDEX, document)
    for machine, expected in machines.items():
        image = store.get_image(fetch(store, registry, platform=Platform("linux", machine)))
        assert image.config.architecture == machine
        assert [str(name.digest) for name in image.digests] == [digest]
        assert [str(manifest.digest) for manifest in store.blobs.list_manifests(image.id)] == [expected]
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x"):
        fetch(store, registry, platform=Platform("linux", "s390x"))


@pytest.mark.parametrize(
    ("asked", "warned"),
    [(None, False), (Platform("linux", "arm64"), False), (Platform("linux", "arm64", "v8"), False), (AMD64, True)],
)
def test_an_image_for_one_platform(store: Store, registry: FakeRegistry, asked: Platform | None, warned: bool) -> None:
    make_image(registry, "team/app", "1", LAYERS[0], architecture="arm64")
    events: list[Event] = []
    image = fetch(store, registry, events=events, platform=asked or AMD64, asked=asked)
    assert store.get_image(image).config.architecture == "arm64"
    name = f"{registry.host}/team/app:1"
    warning = (
        "\nWARNING: Pulled image with specified platform (linux/amd64), but the resulting image's configured platform "
        "(linux/arm64) does not match.\nThis is most likely caused by a bug in the build system that created the "
        f"fetched image ({name}).\nPlease notify the image author to correct the configuration."
    )
    messages = [message for _, message in told(events)]
    assert messages[-1] == (warning if warned else f"Status: Downloaded newer image for {name}")


def test_all_tags(store: Store, registry: FakeRegistry) -> None:
    for tag, layer in zip("123", LAYERS, strict=True):
        make_image(registry, "team/app", tag, layer)
    events: list[Event] = []
    reference = Reference.parse(f"{registry.host}/team/app")
    with Client(settings()) as client:
        found = pull_tags(store, client, reference, platform=AMD64, report=events.append, cancellation=Cancellation())
    assert [name.tag for name, _ in found] == ["1", "2", "3"]
    assert store.image_count() == 3
    assert told(events)[-1] == ("", f"Status: Downloaded newer image for {registry.host}/team/app")


def test_layers_that_are_here(store: Store, registry: FakeRegistry) -> None:
    make_image(registry, "team/app", "1", LAYERS[0])
    fetch(store, registry)
    make_image(registry, "team/app", "2", LAYERS[0], LAYERS[1], LAYERS[1])
    events: list[Event] = []
    fetch(store, registry, "team/app:2", events=events)
    assert [message for _, message in told(events)[1:4]] == ["Already exists", "Pulling fs layer", "Already exists"]


@pytest.mark.parametrize("compress", [bytes, zstd.compress])
def test_other_compressions(store: Store, registry: FakeRegistry, compress: type[bytes]) -> None:
    digest = make_image(registry, "team/app", "1", LAYERS[0])
    packed = compress(LAYERS[0])
    plain = gzip.compress(LAYERS[0], mtime=0)
    manifest = registry.repository("team/app").manifests[digest]
    changed = manifest.replace(str(Digest.of(plain)).encode(), registry.add_blob("team/app", packed).encode())
    changed = changed.replace(f'"size": {len(plain)}'.encode(), f'"size": {len(packed)}'.encode())
    registry.add_manifest("team/app", "1", OCI_MANIFEST, changed)
    image = fetch(store, registry)
    assert store.get_image(image).config.diff_ids == (Digest.of(LAYERS[0]),)
    kept = store.blobs.find(Digest.of(LAYERS[0]))
    assert [blob.compression for blob in kept] == ([] if compress is bytes else ["zstd"])


@pytest.mark.parametrize("position", [0, 1, 50, 100])
def test_a_broken_connection(store: Store, registry: FakeRegistry, position: int) -> None:
    make_image(registry, "team/app", "1", *LAYERS)
    registry.fault("GET .*/blobs/.*", cut(position), times=2)
    fetch(store, registry)
    assert store.image_count() == 1


def test_what_is_wrong_leaves_nothing(store: Store, registry: FakeRegistry, tmp_path: Path) -> None:
    make_image(registry, "team/app", "1", *LAYERS)
    blob = Digest.of(gzip.compress(LAYERS[2], mtime=0))
    for change, error in ((tampered, Corrupt), (status(500), ImagewrightError), (status(404), NotFound)):
        registry.server.faults.clear()
        registry.fault(f"GET .*/blobs/{blob}", change, times=100)
        with pytest.raises(error):
            fetch(store, registry)
        assert store.image_count() == 0
        assert left(tmp_path / "root") == []


def test_a_layer_that_is_another(store: Store, registry: FakeRegistry, tmp_path: Path) -> None:
    digest = make_image(registry, "team/app", "1", LAYERS[0])
    repository = registry.repository("team/app")
    old, new = gzip.compress(LAYERS[0], mtime=0), gzip.compress(LAYERS[1], mtime=0)
    manifest = repository.manifests[digest].replace(
        str(Digest.of(old)).encode(), registry.add_blob("team/app", new).encode()
    )
    manifest = manifest.replace(f'"size": {len(old)}'.encode(), f'"size": {len(new)}'.encode())
    registry.add_manifest("team/app", "1", OCI_MANIFEST, manifest)
    with pytest.raises(Corrupt):
        fetch(store, registry)
    assert left(tmp_path / "root") == []


def test_nothing_is_told_of_what_is_not_there(store: Store, registry: FakeRegistry) -> None:
    events: list[Event] = []
    with pytest.raises(NotFound, match=r"/team/app not found"):
        fetch(store, registry, "team/app:2", events=events)
    assert events == []


def test_cancelled(store: Store, registry: FakeRegistry, tmp_path: Path) -> None:
    make_image(registry, "team/app", "1", *LAYERS)
    cancellation = Cancellation()
    registry.fault("GET .*/blobs/.*", prepare=lambda _request: cancellation.cancel())
    with contextlib.closing(store), pytest.raises(Cancelled):
        fetch(store, registry, cancellation=cancellation)
    assert left(tmp_path / "root") == []
