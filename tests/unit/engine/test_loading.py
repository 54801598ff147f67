import bz2
import gzip
import hashlib
import io
import json
import lzma
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from imagewright.cancellation import Cancellation
from imagewright.engine.loading import load
from imagewright.errors import Cancelled, Corrupt, ImagewrightError, InvalidInput, NotFound, Unsupported
from imagewright.events import BuildWarning, Event, Status, ignore
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.store import Store
from support.builder import Content, Member, archive

_Files = Mapping[str, Content] | Iterable[tuple[str, Content]]

_PLATFORM = Platform("linux", "amd64")
_LAYER = archive({"f": "data"})
_DIFF_ID = hashlib.sha256(_LAYER).hexdigest()
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
_LARGE = 9 << 20


def _config(diff_ids: Iterable[str] = (_DIFF_ID,), **changes: Any) -> bytes:
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{diff_id}" for diff_id in diff_ids]}
    return json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **changes}).encode()


_CONFIG = _config()
_IMAGE = hashlib.sha256(_CONFIG).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def _load(
    store: Store, files: _Files | bytes, *, wanted: Platform | None = None, report: Callable[[Event], None] = ignore
) -> list[Reference | Digest]:
    data = io.BytesIO(files if isinstance(files, bytes) else archive(files))
    return load(store, data, platform=_PLATFORM, wanted=wanted, report=report, cancellation=Cancellation())


def _left(store: Store, root: Path) -> list[str]:
    """Return what there is of images and layers, on the disk and off it."""
    return [
        *(str(name) for name, _ in store.list_references()),
        *(str(path) for name in ("ingest", "blobs/sha256", "layers") for path in (root / "root" / name).iterdir()),
    ]


def _docker(files: Mapping[str, Content] | None = None, **changes: Any) -> dict[str, Content]:
    entry = {"Config": "c.json", "RepoTags": ["a:1", "reg.example/b:2"], "Layers": ["l/layer.tar"], **changes}
    return {"c.json": _CONFIG, "l/layer.tar": _LAYER, **(files or {}), "manifest.json": json.dumps([entry])}


class _Layout:
    """An image layout in the making."""

    def __init__(self) -> None:
        self.files: dict[str, Content] = {"oci-layout": '{"imageLayoutVersion":"1.0.0"}'}
        self.manifests: list[dict[str, Any]] = []

    def blob(self, data: bytes, media_type: str, **changes: Any) -> dict[str, Any]:
        encoded = hashlib.sha256(data).hexdigest()
        self.files[f"blobs/sha256/{encoded}"] = data
        return {"mediaType": media_type, "digest": f"sha256:{encoded}", "size": len(data), **changes}

    def image(
        self,
        layer: bytes = _LAYER,
        config: bytes = _CONFIG,
        *,
        types: tuple[str, str] = (_CONFIG_TYPE, _LAYER_TYPE),
        layers: list[dict[str, Any]] | None = None,
        **changes: Any,
    ) -> dict[str, Any]:
        manifest = {
            "schemaVersion": 2,
            "config": self.blob(config, types[0]),
            "layers": [self.blob(layer, types[1])] if layers is None else layers,
        }
        return self.blob(json.dumps(manifest).encode(), _MANIFEST, **changes)

    def index(self, manifests: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
        return self.blob(json.dumps({"schemaVersion": 2, "manifests": manifests}).encode(), _INDEX, **changes)

    def archive(self, *manifests: dict[str, Any]) -> dict[str, Content]:
        return {**self.files, "index.json": json.dumps({"schemaVersion": 2, "manifests": manifests})}


def _layout(annotations: dict[str, str] | None = None, **changes: Any) -> dict[str, Content]:
    layout = _Layout()
    return layout.archive(layout.image(annotations=annotations or {}, **changes))


def _other(architecture: str, **changes: Any) -> bytes:
    return _config(architecture=architecture, **changes)


def _of(config: bytes) -> Digest:
    return Digest.of(config)


def test_docker_archive_keeps_ids_and_names(store: Store) -> None:
    names = [Reference.parse("a:1"), Reference.parse("reg.example/b:2")]
    assert _load(store, _docker()) == names
    assert [store.resolve(name.canonical).encoded for name in names] == [_IMAGE, _IMAGE]
    assert store.get_image(store.resolve("a:1")).config_bytes == _CONFIG


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_compressions_outside_and_inside(store: Store, compress: Callable[[bytes], bytes]) -> None:
    assert len(_load(store, compress(archive(_docker({"l/layer.tar": compress(_LAYER)}))))) == 2
    assert store.get_image(Digest(_IMAGE)).config.diff_ids == (Digest(_DIFF_ID),)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["l/layer.tar", "hex"])
def test_large_layers_are_not_kept_twice(store: Store, compress: Callable[[bytes], bytes], name: str) -> None:
    large = archive({"f": bytes(range(256)) * (_LARGE >> 8)})
    diff_id = hashlib.sha256(large).hexdigest()
    path = diff_id if name == "hex" else name
    files = {**_docker(Layers=[path]), "c.json": _config([diff_id]), path: compress(large)}
    events: list[Event] = []
    for _ in range(2):
        assert len(_load(store, files, report=events.append)) == 2
    assert store.layer_size(Digest(diff_id)) == _LARGE
    assert {event.subject for event in events if isinstance(event, Status)} == {diff_id[:12]}


@pytest.mark.parametrize("compress", [bytes, zstd.compress])
def test_large_layers_of_a_layout(store: Store, compress: Callable[[bytes], bytes]) -> None:
    large = archive([(f"f{n}", hashlib.sha256(bytes([n])).digest() * (_LARGE >> 5)) for n in range(2)])
    config = _config([hashlib.sha256(large).hexdigest()])
    layout = _Layout()
    compressed = compress(large)
    for _ in range(2):
        files = layout.archive(layout.image(compressed, config))
        assert _load(store, files) == [_of(config)]


def test_links_inside_the_archive_are_followed(store: Store) -> None:
    files = _docker({"old/layer.tar": Member.symlink("../l/layer.tar")}, Layers=["old/layer.tar"])
    assert len(_load(store, files)) == 2


def test_hard_links_inside_the_archive_are_followed(store: Store) -> None:
    files = [*_docker().items(), ("old/layer.tar", Member.hard_link("./l/layer.tar"))]
    files[-2] = ("manifest.json", _docker(Layers=["old/layer.tar"])["manifest.json"])
    assert len(_load(store, files)) == 2


def test_members_with_names_outside_are_of_no_account(store: Store) -> None:
    strange: list[tuple[str, Content]] = [
        ("../../evil", "x"),
        ("/etc/evil", "x"),
        ("etc/passwd", Member.symlink("/etc/passwd")),
        ("device", Member(type=b"3", device=(1, 3))),
        ("pipe", Member(type=b"6")),
        (".", Member.directory()),
    ]
    assert len(_load(store, [*strange, *_docker().items()])) == 2


def test_layout_with_a_full_name(store: Store) -> None:
    names = {"io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "1"}
    assert _load(store, _layout(names)) == [Reference.parse("a:1")]


def test_layout_whose_own_name_is_full(store: Store) -> None:
    files = _layout({"org.opencontainers.image.ref.name": "reg.example/a/b"})
    assert _load(store, files) == [Reference.parse("reg.example/a/b:latest")]


def test_layout_that_another_program_has_tagged_again(store: Store) -> None:
    names = {"io.containerd.image.name": "docker.io/library/a:1", "org.opencontainers.image.ref.name": "two"}
    assert _load(store, _layout(names)) == [Reference.parse("a:two")]


@pytest.mark.parametrize(
    "annotations",
    [
        {},
        {"org.opencontainers.image.ref.name": "latest"},
        {"org.opencontainers.image.ref.name": "a/UPPER"},
        {"io.containerd.image.name": f"a@sha256:{_IMAGE}"},
        {"io.containerd.image.name": "sha256:1"},
    ],
)
def test_layout_without_a_name_gives_the_id(store: Store, annotations: dict[str, str]) -> None:
    assert _load(store, _layout(annotations)) == [Digest(_IMAGE)]


def test_several_images(store: Store) -> None:
    other = _other("amd64", author="somebody")
    entries = [
        {"Config": "c.json", "RepoTags": ["a:1"], "Layers": ["l/layer.tar"]},
        {"Config": "d.json", "RepoTags": None, "Layers": ["l/layer.tar"]},
        {"Config": "c.json", "RepoTags": ["a:2"], "Layers": ["l/layer.tar"]},
    ]
    files = {**_docker(), "d.json": other, "manifest.json": json.dumps(entries)}
    assert _load(store, files) == [Reference.parse("a:1"), Reference.parse("a:2"), _of(other)]
    layout = _Layout()
    assert _load(store, layout.archive(layout.image(), layout.image(config=other))) == [Digest(_IMAGE), _of(other)]


def test_parents_within_the_archive(store: Store) -> None:
    step = {"created_by": "x", "empty_layer": True}
    parent, child = _config(history=[step]), _config(history=[step, {**step, "created_by": "y"}])
    entries = [
        {"Config": "child", "Layers": ["l/layer.tar"], "Parent": f"sha256:{hashlib.sha256(parent).hexdigest()}"},
        {"Config": "parent", "Layers": ["l/layer.tar"], "Parent": f"sha256:{_IMAGE}"},
    ]
    _load(store, {**_docker(), "child": child, "parent": parent, "manifest.json": json.dumps(entries)})
    assert store.get_image(_of(child)).parent == _of(parent)
    assert store.get_image(_of(parent)).parent is None


def test_a_name_that_another_image_loses_is_told(store: Store) -> None:
    events: list[Event] = []
    _load(store, _docker(), report=events.append)
    other = _other("amd64", author="somebody")
    _load(store, {**_docker(RepoTags=["a:1"]), "c.json": other}, report=events.append)
    assert events == [
        Status("Loading layer", subject=_DIFF_ID[:12], current=len(_LAYER), total=len(_LAYER)),
        BuildWarning(f"The image a:1 already exists, renaming the old one with ID sha256:{_IMAGE} to empty string"),
    ]
    assert store.resolve("a:1") == _of(other)


def test_nothing_listed_is_nothing_loaded(store: Store) -> None:
    assert _load(store, {"manifest.json": "[]"}) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(None, "amd64"), (Platform("linux", "arm64"), "arm64"), (Platform("linux", "arm", "v7"), "v7")],
)
@pytest.mark.parametrize("told", [True, False])
def test_the_platform_is_chosen(store: Store, wanted: Platform | None, expected: str, *, told: bool) -> None:
    platforms: tuple[dict[str, str], ...] = (
        {"os": "linux", "architecture": "arm", "variant": "v6"},
        {"os": "linux", "architecture": "arm", "variant": "v7"},
        {"os": "linux", "architecture": "arm64", "variant": "v8"},
        {"os": "linux", "architecture": "amd64"},
    )
    layout = _Layout()
    configs = [_config(**platform) for platform in platforms]
    images = [
        {**layout.image(config=config), **({"platform": platform} if told else {})}
        for config, platform in zip(configs, platforms, strict=True)
    ]
    nothing = layout.image(platform={"os": "unknown", "architecture": "unknown"})
    said = layout.image(annotations={"vnd.docker.reference.type": "attestation-manifest"})
    name = {"io.containerd.image.name": "docker.io/library/a:1"}
    absent = {"mediaType": _MANIFEST, "digest": f"sha256:{'0' * 64}", "size": 1}
    nested = layout.index([layout.index([*images, nothing, said, absent, {**absent, "mediaType": "x/y"}])])
    index = layout.index([nested, nested], annotations=name)
    assert _load(store, layout.archive(index), wanted=wanted) == [Reference.parse("a:1")]
    chosen = store.get_image(store.resolve("a:1")).config
    assert expected in {chosen.architecture, chosen.variant}


def test_images_of_one_name_are_a_choice(store: Store) -> None:
    layout = _Layout()
    name = {"io.containerd.image.name": "docker.io/library/a:1"}
    images = [layout.image(config=_other(architecture), annotations=name) for architecture in ("arm64", "amd64")]
    assert _load(store, layout.archive(*images)) == [Reference.parse("a:1")]
    assert store.get_image(store.resolve("a:1")).config.architecture == "amd64"


def test_images_without_names_are_a_choice_if_one_suits(store: Store) -> None:
    layout = _Layout()
    images = [layout.image(config=_other(architecture)) for architecture in ("arm64", "amd64")]
    assert _load(store, layout.archive(*images)) == [_of(_other("amd64"))]
    assert _load(store, layout.archive(images[0])) == [_of(_other("arm64"))]


def test_an_image_for_another_machine_alone_is_loaded(store: Store) -> None:
    layout = _Layout()
    image = layout.image(config=_other("arm64"), platform={"os": "linux", "architecture": "arm64"})
    assert _load(store, layout.archive(layout.index([image]))) == [_of(_other("arm64"))]
    assert len(_load(store, {**_docker(), "c.json": _other("arm64")})) == 2


@pytest.mark.parametrize("form", ["docker", "layout", "index"])
def test_a_platform_that_is_not_there(store: Store, tmp_path: Path, form: str) -> None:
    layout = _Layout()
    name = {"io.containerd.image.name": "docker.io/library/a:1"}
    files = {
        "docker": _docker(),
        "layout": layout.archive(layout.image(annotations=name), layout.image()),
        "index": layout.archive(layout.index([layout.image()])),
    }
    with pytest.raises(NotFound, match="no image for linux/s390x is in the archive"):
        _load(store, files[form], wanted=Platform("linux", "s390x"))
    assert _left(store, tmp_path) == []


def test_what_is_no_image_beside_one_is_passed_over(store: Store) -> None:
    layout = _Layout()
    signature = layout.image(b"{}", b"{}", types=(_CONFIG_TYPE, "application/vnd.dev.cosign.simplesigning.v1+json"))
    chart = layout.image(b"x", b"{}", types=("application/vnd.cncf.helm.config.v1+json", _LAYER_TYPE))
    assert _load(store, layout.archive(signature, layout.image(), chart)) == [Digest(_IMAGE)]
    with pytest.raises(InvalidInput, match=r"is no image: \"application/vnd.cncf.helm.config.v1\+json\" is in it"):
        _load(store, layout.archive(chart))


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    ],
)
def test_media_types_of_layers(store: Store, media_type: str) -> None:
    layout = _Layout()
    layer = zstd.compress(_LAYER) if media_type.endswith("zstd") else gzip.compress(_LAYER)
    types = ("application/vnd.docker.container.image.v1+json", media_type)
    assert _load(store, layout.archive(layout.image(layer, types=types))) == [Digest(_IMAGE)]


def test_cancelled_before_the_end(store: Store, tmp_path: Path) -> None:
    cancellation = Cancellation()
    large = archive({"f": bytes(_LARGE)})
    files = archive({**_docker(), "large": large, "rest": large})

    def report(_event: Event) -> None:
        cancellation.cancel()

    with pytest.raises(Cancelled):
        load(store, io.BytesIO(files), platform=_PLATFORM, report=report, cancellation=cancellation)
    assert _left(store, tmp_path) == []


def _foreign() -> dict[str, Content]:
    layout = _Layout()
    absent = {"mediaType": _LAYER_TYPE, "digest": f"sha256:{'0' * 64}", "size": 1, "urls": ["http://127.0.0.1/x"]}
    return layout.archive(layout.image(layers=[absent]))


def _replaced(data: Content, number: int = 0) -> dict[str, Content]:
    """Return a layout whose blob `number` (configuration, layer, manifest) is `data`."""
    files = _layout()
    blobs = [name for name in files if name.startswith("blobs/")]
    return {**files, blobs[number]: data}


def _resized() -> dict[str, Content]:
    layout = _Layout()
    return layout.archive({**layout.image(), "size": 7})


def _endless() -> dict[str, Content]:
    """Return links that lead through links, a million steps in all."""
    far = "/".join(["x", ".."] * 500)
    links = {f"l{n}": Member.symlink(f"{far}/l{n + 1}") for n in range(200)}
    layers = [f"{'./' * n}l0" for n in range(1, 40)]
    files = _docker(links, Layers=layers)
    return {**files, "c.json": _config([_DIFF_ID] * len(layers)), "l200": _LAYER}


_ENTRY = {"Config": "c.json", "Layers": ["l/layer.tar"]}
_NOT_A_TAR = r"^Error processing tar file\(exit status 1\): "
_BAD: dict[str, tuple[_Files | bytes, str]] = {
    "nothing": (b"", "neither manifest.json nor index.json"),
    "zeros": (bytes(1024), "neither manifest.json nor index.json"),
    "garbage": (b"x" * 2000, _NOT_A_TAR + "archive/tar: invalid tar header$"),
    "short": (b"x" * 100, _NOT_A_TAR + "unexpected EOF$"),
    "cut": (archive(_docker())[:1200], _NOT_A_TAR + "unexpected EOF$"),
    "cut gzip": (gzip.compress(archive(_docker()))[:200], _NOT_A_TAR + "unexpected EOF$"),
    "cut in a large layer": (archive(_docker({"l/layer.tar": archive({"f": bytes(_LARGE)})}))[:_LARGE], "EOF$"),
    "no manifest": ({"f": "x"}, "neither manifest.json nor index.json"),
    "of old": ({"repositories": "{}"}, "archives without manifest.json"),
    "manifest cut": ({"manifest.json": "{"}, "invalid manifest.json: "),
    "manifest null": ({"manifest.json": "null"}, r"invalid manifest, manifest cannot be null \(but can be \[\]\)"),
    "manifest of nothing": ({"manifest.json": "[{}]"}, "missing required field `Config`"),
    "manifest no list": ({"manifest.json": "{}"}, "Expected `array | null`, got `object`"),
    "manifest deep": ({"manifest.json": "[" * 100_000}, "invalid manifest.json"),
    "manifest deep inside": ({"manifest.json": '[{"X":' + '{"a":' * 100_000}, "recursion"),
    "manifest large": ({"manifest.json": b" " * (5 << 20)}, '"manifest.json" has 5242880 bytes, more than the 4194304'),
    "manifest a link": ({"manifest.json": Member.symlink("manifest.json")}, "too many links in /manifest.json"),
    "manifest no text": ({"manifest.json": b'[{"Config":"\xff"}]'}, '"manifest.json" is no text in UTF-8'),
    "index no object": ({"index.json": "[]"}, "invalid image index"),
    "index deep": ({"index.json": '{"manifests":[],"x":' + "[" * 100_000}, "invalid image index"),
    "no configuration": (_docker(Config="nope"), '"nope" is not in it'),
    "configuration above": (_docker(Config="../../etc/passwd"), '"../../etc/passwd" is not in it'),
    "configuration absolute": (_docker(Config="/etc/passwd"), '"/etc/passwd" is not in it'),
    "configuration a link": (_docker({"c.json": Member.symlink("/etc/passwd")}), '"c.json" is not in it'),
    "configuration a loop": (_docker({"c.json": Member.symlink("c.json")}), "too many links in /c.json"),
    "configuration no object": (_docker({"c.json": "[]"}), "invalid image configuration"),
    "configuration of nothing": (_docker({"c.json": "{}"}), "invalid image JSON, no RootFS key"),
    "configuration for Windows": (_docker({"c.json": _config(os="windows")}), "cannot load windows image on linux"),
    "configuration of no time": (_docker({"c.json": _config(created="yesterday")}), "invalid time"),
    "configuration deep": (_docker({"c.json": '{"x":' + "[" * 100_000}), "invalid image configuration"),
    "configuration large": (_docker({"c.json": b" " * _LARGE}), '"c.json" has 9437184 bytes'),
    "fewer layers": (_docker(Layers=[]), "layers length mismatch: expected 0, got 1"),
    "more layers": (_docker(Layers=["l/layer.tar"] * 2), "layers length mismatch: expected 2, got 1"),
    "very many layers": (_docker(Layers=["a"] * 800_000), "layers length mismatch: expected 800000, got 1"),
    "many layers": (_docker({"c.json": _config([_DIFF_ID] * 5000)}, Layers=["a"] * 5000), "max depth exceeded"),
    "no layer": (_docker(Layers=["nope"]), '"nope" is not in it'),
    "a layer that is no tar": (_docker(Layers=["c.json"]), _NOT_A_TAR + '"c.json": unexpected EOF'),
    "a layer of garbage": (_docker({"l/layer.tar": b"x" * 2000}), '"l/layer.tar": archive/tar: invalid tar header'),
    "a large one of garbage": (_docker({"l/layer.tar": b"x" * _LARGE}), '"l/layer.tar": archive/tar: invalid tar h'),
    "a cut layer": (_docker({"l/layer.tar": _LAYER[:514]}), '"l/layer.tar": unexpected EOF'),
    "another layer": (_docker({"l/layer.tar": archive({"f": "other"})}), "invalid diffID for layer 0: expected"),
    "another large layer": (_docker({"l/layer.tar": archive({"f": bytes(_LARGE)})}), "invalid diffID for layer 0"),
    "diff_id of another kind": (
        _docker({"c.json": _CONFIG.replace(f"sha256:{_DIFF_ID}".encode(), b"sha512:" + b"a" * 128)}),
        "invalid digest: 'sha512:a",
    ),
    "no tag": (_docker(RepoTags=["a"]), 'invalid tag "a"'),
    "a digest for a tag": (_docker(RepoTags=[f"a@sha256:{_IMAGE}"]), 'invalid tag "a@sha256:'),
    "a bad name": (_docker(RepoTags=["ok:1", "UPPER:1"]), "repository name must be lowercase"),
    "an ambiguous name": (_docker(RepoTags=["sha256:1"]), "ambiguous tag"),
    "a bad second image": (
        {**_docker(), "manifest.json": json.dumps([_ENTRY, {**_ENTRY, "RepoTags": ["BAD:1"]}])},
        "repository name must be lowercase",
    ),
    "a parent that is none": (
        {
            **_docker(),
            "d.json": _other("amd64", history=[{"created_by": "x"}] * 2),
            "manifest.json": json.dumps([{**_ENTRY, "Parent": f"sha256:{_IMAGE}", "Config": "d.json"}, _ENTRY]),
        },
        "is not a valid parent for",
    ),
    "a parent of another kind": (_docker(Parent="md5:1"), "invalid digest"),
    "a hard link to nothing": ([("h", Member.hard_link("../../etc/passwd"))], "no such file or directory"),
    "a long name": ({"n" * 5000: "x"}, "file name too long"),
    "a long path": (_docker(Config="a/" * 2500), "file name too long"),
    "links without end": (_endless(), "too many links in it"),
    "layout: another configuration": (_replaced("other"), '"blobs/sha256/[0-9a-f]+" does not match its digest'),
    "layout: another layer": (_replaced("other", 1), '"blobs/sha256/[0-9a-f]+" does not match its digest'),
    "layout: another large layer": (_replaced(archive({"f": bytes(_LARGE)}), 1), "does not match its digest"),
    "layout: a large one of garbage": (_replaced(b"x" * _LARGE, 1), 'blobs/sha256/[0-9a-f]+": archive/tar: invalid'),
    "layout: another manifest": (_replaced("{}", 2), "does not match its digest"),
    "layout: another size": (_resized(), "has [0-9]+ bytes, not the 7 that its descriptor says"),
    "layout: no layer": ({n: d for n, d in _layout().items() if _DIFF_ID not in n}, f'{_DIFF_ID}" is not in it'),
    "layout: a layer elsewhere": (_foreign(), "lacks the layer sha256:0+, and addresses of layers are not followed"),
    "layout: unknown type": (_Layout().archive({"mediaType": "a/b", "digest": "x", "size": 1}), 'media type "a/b"'),
    "layout: digest of another kind": (
        _Layout().archive({"mediaType": _MANIFEST, "digest": f"sha512:{'0' * 128}", "size": 1}),
        "invalid digest: 'sha512:0",
    ),
}


@pytest.mark.timeout(10)
@pytest.mark.parametrize("case", _BAD)
def test_bad_archives_leave_nothing(store: Store, tmp_path: Path, case: str) -> None:
    files, message = _BAD[case]
    with pytest.raises(ImagewrightError, match=message) as caught:
        _load(store, files)
    assert isinstance(caught.value, InvalidInput | Corrupt | Unsupported)
    assert str(tmp_path) not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert store.image_count() == 0
    assert _left(store, tmp_path) == []


def test_indexes_within_indexes_within_indexes(store: Store) -> None:
    layout = _Layout()
    inner = layout.image()
    for depth in range(6):
        inner = layout.index([inner], annotations={"depth": str(depth)})
    with pytest.raises(InvalidInput, match="indexes within indexes are too deep"):
        _load(store, layout.archive(inner))


def test_an_index_of_other_platforms(store: Store) -> None:
    layout = _Layout()
    images = [layout.image(config=_other(architecture)) for architecture in ("arm64", "s390x")]
    with pytest.raises(NotFound, match="no image for linux/amd64 is in the archive"):
        _load(store, layout.archive(layout.index(images)))


def test_a_manifest_of_a_hundred_mebibytes(store: Store, tmp_path: Path) -> None:
    files = _docker({"manifest.json": b""})
    files["manifest.json"] = b" " * (100 << 20)
    with pytest.raises(InvalidInput, match=r'"manifest.json" has 104857600 bytes, more than the 4194304'):
        _load(store, files)
    assert _left(store, tmp_path) == []


def test_layers_that_were_there_before_stay(store: Store, tmp_path: Path) -> None:
    _load(store, _docker())
    before = _left(store, tmp_path)
    with pytest.raises(Corrupt):
        _load(store, {**_docker(), "c.json": _config(["0" * 64])})
    assert _left(store, tmp_path) == before
