import json

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Descriptor, Digest, Index, Manifest, encode_document, parse_index, parse_manifest

CONFIG = Descriptor("application/vnd.oci.image.config.v1+json", str(Digest.of(b"config")), 6)
LAYER = Descriptor("application/vnd.oci.image.layer.v1.tar", str(Digest.of(b"layer")), 5)
MANIFEST = Manifest(CONFIG, (LAYER,), schema_version=2, media_type="application/vnd.oci.image.manifest.v1+json")


def test_manifest_is_read_back() -> None:
    assert parse_manifest(encode_document(MANIFEST)) == MANIFEST


def test_manifest_has_the_keys_of_the_specification() -> None:
    document = json.loads(encode_document(MANIFEST))
    assert document == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": CONFIG.media_type, "digest": CONFIG.digest, "size": 6},
        "layers": [{"mediaType": LAYER.media_type, "digest": LAYER.digest, "size": 5}],
    }


def test_index_is_read_back() -> None:
    entry = Descriptor(
        MANIFEST.media_type,
        str(Digest.of(encode_document(MANIFEST))),
        len(encode_document(MANIFEST)),
        annotations={"org.opencontainers.image.ref.name": "1"},
        platform={"os": "linux", "architecture": "amd64"},
        artifact_type="application/x",
        urls=("a",),
    )
    index = Index((entry,), schema_version=2)
    assert parse_index(encode_document(index)) == index


def test_unknown_keys_are_passed_over() -> None:
    document = {**json.loads(encode_document(MANIFEST)), "subject": None, "x-vendor": 1}
    assert parse_manifest(json.dumps(document).encode()) == MANIFEST


def test_address() -> None:
    assert LAYER.address == Digest.of(b"layer")
    with pytest.raises(InvalidInput, match="invalid digest"):
        _ = Descriptor("x", "sha512:00", 0).address


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b'{"layers":[]}', b'{"config":1,"layers":[]}', b"\xff", b'{"mediaType":"\xff"}']
)
def test_manifest_refuses(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^invalid image manifest: "):
        parse_manifest(data)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^invalid image index: "):
        parse_index(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
