import json
from typing import Any

import pytest

from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Descriptor, Digest, Index, Manifest, Platform
from imagewright.registry import INDEX_TYPES, MANIFEST_TYPES, Received, is_for, select_manifest
from imagewright.registry.documents import read_document

BLOB = {"mediaType": "x", "digest": str(Digest.of(b"")), "size": 0}
MANIFEST = {"schemaVersion": 2, "config": BLOB, "layers": [BLOB]}
INDEX = {"schemaVersion": 2, "manifests": [BLOB]}


def received(document: object, media_type: str = "") -> Received:
    data = json.dumps(document).encode()
    return Received(media_type, Digest.of(data), data)


@pytest.mark.parametrize("media_type", [*MANIFEST_TYPES, "", "application/json", f"{MANIFEST_TYPES[0]}; charset=utf-8"])
def test_a_manifest(media_type: str) -> None:
    assert isinstance(read_document(received(MANIFEST, media_type)), Manifest)


@pytest.mark.parametrize("media_type", [*INDEX_TYPES, "", "text/plain"])
def test_an_index(media_type: str) -> None:
    assert isinstance(read_document(received(INDEX, media_type)), Index)


def test_a_document_says_itself_what_it_is() -> None:
    assert isinstance(read_document(received({**INDEX, "mediaType": INDEX_TYPES[0]}, "text/plain")), Index)


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        ({**MANIFEST, **INDEX}, ""),
        ({**INDEX, "config": BLOB}, INDEX_TYPES[0]),
        ({**MANIFEST, "mediaType": INDEX_TYPES[0]}, MANIFEST_TYPES[0]),
        (MANIFEST, INDEX_TYPES[0]),
        (INDEX, MANIFEST_TYPES[0]),
        ({}, ""),
        ([], ""),
        ("", ""),
    ],
)
def test_what_contradicts_itself_is_refused(document: object, media_type: str) -> None:
    with pytest.raises(InvalidInput):
        read_document(received(document, media_type))


@pytest.mark.parametrize(
    "document", [{"schemaVersion": 1, "fsLayers": []}, {"schemaVersion": 2, "mediaType": "application/x"}]
)
def test_other_kinds_are_not_supported(document: object) -> None:
    with pytest.raises(Unsupported):
        read_document(received(document))


def index(*platforms: dict[str, Any] | None) -> Index:
    return Index(
        tuple(Descriptor(MANIFEST_TYPES[0], str(number), 0, platform=found) for number, found in enumerate(platforms))
    )


def linux(architecture: str, variant: str = "") -> dict[str, Any]:
    return {"os": "linux", "architecture": architecture, **({"variant": variant} if variant else {})}


@pytest.mark.parametrize(
    ("found", "wanted", "expected"),
    [
        ([linux("arm64"), linux("amd64"), linux("amd64")], Platform("linux", "amd64"), "1"),
        ([None, {}, {"os": "windows", "architecture": "amd64"}, linux("amd64")], Platform("linux", "amd64"), "3"),
        ([linux("unknown"), linux("amd64", "v1")], Platform("linux", "amd64"), "1"),
        ([linux("arm64", "v8")], Platform("linux", "arm64"), "0"),
        ([linux("arm64")], Platform("linux", "arm64", "v8"), "0"),
        ([linux("arm", "v6"), linux("arm", "v7"), linux("arm", "v5")], Platform("linux", "arm"), "1"),
        ([linux("arm", "v6"), linux("arm", "v5")], Platform("linux", "arm", "v7"), "0"),
        ([linux("amd64"), linux("amd64", "v3")], Platform("linux", "amd64", "v3"), "1"),
        ([linux("amd64", "v3"), linux("amd64")], Platform("linux", "amd64"), "1"),
        ([linux("x86_64")], Platform("linux", "amd64"), "0"),
        ([linux("riscv64")], Platform("linux", "riscv64"), "0"),
        ([linux("ppc64le", "power9")], Platform("linux", "ppc64le", "power9"), "0"),
    ],
)
def test_a_platform_is_chosen(found: list[dict[str, Any] | None], wanted: Platform, expected: str) -> None:
    assert select_manifest(index(*found), wanted).digest == expected


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        ([], Platform("linux", "amd64")),
        ([linux("amd64", "v3")], Platform("linux", "amd64")),
        ([linux("arm", "v7")], Platform("linux", "arm", "v6")),
        ([{"os": "unknown", "architecture": "unknown"}], Platform("linux", "amd64")),
    ],
)
def test_no_platform_fits(found: list[dict[str, Any] | None], wanted: Platform) -> None:
    with pytest.raises(NotFound, match=f"no matching manifest for {wanted} in the manifest list entries"):
        select_manifest(index(*found), wanted)


def test_an_index_in_an_index_is_passed_over() -> None:
    nested = Index((Descriptor(INDEX_TYPES[0], "0", 0, platform=linux("amd64")),))

    with pytest.raises(NotFound):
        select_manifest(nested, Platform("linux", "amd64"))


@pytest.mark.parametrize(
    ("found", "platform", "fits"),
    [
        (Platform("linux", "amd64"), Platform("linux", "amd64"), True),
        (Platform("linux", "amd64", "v2"), Platform("linux", "amd64"), False),
        (Platform("linux", "amd64"), Platform("linux", "amd64", "v3"), True),
        (Platform("linux", "x86_64"), Platform("linux", "amd64"), True),
        (Platform("linux", "arm64", "v8"), Platform("linux", "arm64"), True),
        (Platform("linux", "arm", "v6"), Platform("linux", "arm", "v7"), True),
        (Platform("linux", "arm", "v7"), Platform("linux", "arm", "v6"), False),
        (Platform("linux", "arm64"), Platform("linux", "amd64"), False),
        (Platform("windows", "amd64"), Platform("linux", "amd64"), False),
        (Platform("linux", ""), Platform("linux", "amd64"), True),
    ],
)
def test_an_image_for_a_platform(found: Platform, platform: Platform, fits: bool) -> None:
    assert is_for(found, platform) == fits
