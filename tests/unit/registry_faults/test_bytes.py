"""Bytes that are not what was promised, and documents that are not what they seem."""

import dataclasses
import json
from typing import Any

import pytest

from imagewright.errors import Corrupt, ImagewrightError, InvalidInput, NotFound, SystemFailure, Unsupported
from imagewright.oci import Descriptor, Digest, parse_index
from imagewright.registry import Client, select_manifest
from support.fake_registry import (
    DOCKER_INDEX,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    Change,
    endless,
    headers,
    make_image,
)
from support.loopback import Request, Response
from support.registry_faults import (
    BLOB,
    MANIFEST,
    TOKEN,
    TRANSPORT,
    Case,
    body,
    check,
    longer,
    lying_length,
    shorter,
    tampered,
)
from support.registry_world import AMD64, NAME, World, attempt, pull, read_blob

CASES = {
    "nothing": Case("-", requests=8),
    "blob of another digest": Case(BLOB, tampered, (Corrupt,), requests=12),
    "blob that is longer": Case(BLOB, longer, (Corrupt,), requests=12),
    "blob that is shorter": Case(BLOB, shorter, (Corrupt, *TRANSPORT), requests=15),
    "empty blob": Case(BLOB, body(b""), (Corrupt, *TRANSPORT), requests=15),
    "manifest of another digest than its header": Case(MANIFEST, tampered, (Corrupt,), requests=12),
    "manifest without a digest header": Case(MANIFEST, headers("Docker-Content-Digest")),
    "manifest with a digest header that is none": Case(MANIFEST, headers(Docker_Content_Digest="md5:0"), (Corrupt,)),
    "manifest whose end is missing": Case(MANIFEST, shorter, (Corrupt,)),
    "manifest whose end is missing, without a header": Case(
        MANIFEST, lambda q, r: headers("Docker-Content-Digest")(q, shorter(q, r)), (InvalidInput, Corrupt)
    ),
    "blob whose length says more": Case(BLOB, lying_length(1 << 40), (Corrupt, *TRANSPORT), requests=20),
    "blob whose length says less": Case(BLOB, lying_length(5), (Corrupt, *TRANSPORT), requests=20),
    "manifest whose length says more": Case(MANIFEST, lying_length(1 << 40), (InvalidInput, Corrupt, *TRANSPORT)),
    "blob said to be compressed on the way": Case(BLOB, headers(Content_Encoding="gzip")),
    "blob said to be compressed twice on the way": Case(BLOB, headers(Content_Encoding="gzip, br")),
    "manifest said to be compressed on the way": Case(MANIFEST, headers(Content_Encoding="gzip"), TRANSPORT),
    "endless manifest": Case(MANIFEST, endless(), (Corrupt, InvalidInput, *TRANSPORT), requests=12),
    "endless blob": Case(BLOB, endless(), (Corrupt, *TRANSPORT), requests=20),
    "endless token": Case(TOKEN, endless(b" " * 65536), (ImagewrightError,), requests=20),
    "manifest that is a page": Case(MANIFEST, body(b"<html>", 200, {"Content-Type": "text/html"}), (ImagewrightError,)),
    "manifest that is empty": Case(MANIFEST, body(b""), (InvalidInput, Corrupt)),
    "token that is a page": Case(TOKEN, body(b"<html>"), (ImagewrightError,)),
    "token that is no object": Case(TOKEN, body(b"[1]"), (ImagewrightError,)),
    "token that is deep": Case(TOKEN, body(b"[" * 100_000), (ImagewrightError,)),
    "token that is missing": Case(TOKEN, body(b"{}"), (ImagewrightError,)),
    "token that is null": Case(TOKEN, body(b'{"token": null}'), (ImagewrightError,)),
    "token that is a number": Case(TOKEN, body(b'{"token": 5}'), (ImagewrightError,)),
    "token that is a header": Case(TOKEN, body(rb'{"token": "a\r\nX-Evil: 1"}'), (ImagewrightError,)),
    "token that is foreign": Case(TOKEN, body('{"token": "\u20ac"}'.encode()), (ImagewrightError,)),
    "204 for the manifest": Case(MANIFEST, lambda _q, _r: Response(204), (ImagewrightError,)),
    "204 for the blob": Case(BLOB, lambda _q, _r: Response(204), (ImagewrightError,), requests=20),
    "206 for a blob asked for in full": Case(BLOB, body(b"xyz", 206), (ImagewrightError,), requests=20),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pull_of_bytes_that_are_wrong(name: str, place: World) -> None:
    check(CASES[name], place, lambda client: pull(client, place.reference))


@pytest.mark.parametrize("change", [tampered, longer, shorter, body(b""), body(b"{}"), endless()], ids=str)
def test_a_manifest_by_digest_has_that_digest_whatever_the_header_says(place: World, change: Change) -> None:
    def signed(request: Request, response: Response) -> Response:
        altered = change(request, response)
        return dataclasses.replace(altered, headers={**altered.headers, "Docker-Content-Digest": place.digest})

    check(Case(MANIFEST, signed, (Corrupt, InvalidInput)), place, lambda client: client.get_manifest(place.pinned))


def test_a_digest_header_counts_for_nothing_where_a_digest_was_asked_for(place: World, client: Client) -> None:
    place.registry.fault(MANIFEST, headers(Docker_Content_Digest=str(Digest.of(b"other"))))

    outcome = attempt(place, lambda: client.get_manifest(place.pinned).digest)

    assert outcome.value == place.pinned.digest or isinstance(outcome.error, Corrupt)


def test_the_end_of_a_blob_is_not_handed_out_before_it_is_verified(place: World, client: Client) -> None:
    place.registry.fault(BLOB, tampered)
    size = len(place.blobs[place.blob])
    reader = client.open_blob(place.reference, Descriptor("x", place.blob, size))
    got = b""

    def read() -> None:
        nonlocal got
        while piece := reader.read(100):
            got += piece

    with pytest.raises(Corrupt):
        read()

    assert len(got) < size
    reader.close()


@pytest.mark.parametrize("size", [0, 1, 2999, 1 << 40])
def test_a_blob_of_another_size_than_its_descriptor(place: World, client: Client, size: int) -> None:
    descriptor = Descriptor("x", place.blob, size)

    outcome = attempt(place, lambda: read_blob(client, place.reference, descriptor), requests=20)

    assert isinstance(outcome.error, (Corrupt, SystemFailure))


def document(place: World, **changed: object) -> dict[str, Any]:
    """Return the manifest of the image, with other members."""
    found: dict[str, Any] = json.loads(place.registry.repository(NAME).manifests[place.digest])
    return {**found, **changed}


def descriptor(**changed: object) -> dict[str, object]:
    found = {"mediaType": OCI_MANIFEST, "digest": str(Digest.of(b"x")), "size": 1}
    return {**found, "platform": {"os": "linux", "architecture": "amd64"}, **changed}


def test_a_manifest_that_is_also_an_index_is_neither(place: World) -> None:
    both = document(place, manifests=[descriptor(digest=place.digest)])
    for number, media_type in enumerate((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX)):
        for claimed in (media_type, None, OCI_INDEX, OCI_MANIFEST):
            made = {**both, "mediaType": claimed} if claimed else {k: v for k, v in both.items() if k != "mediaType"}
            place.registry.add_manifest(NAME, f"both{number}", media_type, made)
            reference = place.reference.with_tag(f"both{number}")
            check(Case("-", errors=(InvalidInput, Corrupt)), place, lambda client, name=reference: pull(client, name))  # type: ignore[misc]


WRONG: dict[str, tuple[str, Any]] = {
    "an index typed as a manifest": (OCI_MANIFEST, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}),
    "a manifest typed as an index": (OCI_INDEX, {"layers": [], "config": descriptor()}),
    "an empty index": (OCI_INDEX, {"schemaVersion": 2, "manifests": []}),
    "an index of other platforms": (
        OCI_INDEX,
        {"schemaVersion": 2, "manifests": [descriptor(platform={"os": "linux", "architecture": "s390x"})]},
    ),
    "an index of what is not there": (OCI_INDEX, {"schemaVersion": 2, "manifests": [descriptor()]}),
    "schema 1": (
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        {"schemaVersion": 1, "name": NAME, "tag": "1", "fsLayers": [], "history": [], "signatures": []},
    ),
    "no object": (OCI_MANIFEST, [1]),
    "no object at all": (OCI_MANIFEST, b"nothing"),
    "deep": (OCI_MANIFEST, b'{"a":' * 50_000),
    "an artifact": (
        OCI_MANIFEST,
        {"schemaVersion": 2, "config": descriptor(mediaType="application/vnd.oci.empty.v1+json"), "layers": []},
    ),
    "a page": ("text/html", b"<html></html>"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_document_that_is_no_image(name: str, place: World) -> None:
    media_type, made = WRONG[name]
    place.registry.add_manifest(NAME, "wrong", media_type, made)
    case = Case("-", errors=(InvalidInput, NotFound, Unsupported, Corrupt), requests=12)
    check(case, place, lambda client: pull(client, place.reference.with_tag("wrong")))


BAD_LAYERS: dict[str, dict[str, object]] = {
    "negative size": {"size": -1},
    "huge size": {"size": 1 << 62},
    "size beyond 64 bits": {"size": 1 << 70},
    "size that is text": {"size": "3000"},
    "no size": {"size": None},
    "digest of another kind": {"digest": "sha512:" + "0" * 128},
    "digest that is a path": {"digest": "sha256:../../../../etc/passwd"},
    "digest in capitals": {"digest": "sha256:" + "A" * 64},
    "no digest": {"digest": ""},
    "digest with a query": {"digest": "sha256:" + "0" * 64 + "?x=y"},
}


@pytest.mark.parametrize("name", BAD_LAYERS)
@pytest.mark.parametrize("member", ["config", "layers"])
def test_a_descriptor_that_cannot_be_right(name: str, member: str, place: World) -> None:
    made = document(place)
    if member == "config":
        made["config"].update(BAD_LAYERS[name])
    else:
        made["layers"][0].update(BAD_LAYERS[name])
    place.registry.add_manifest(NAME, "wrong", OCI_MANIFEST, made)

    check(
        Case("-", errors=(ImagewrightError,), requests=20),
        place,
        lambda client: pull(client, place.reference.with_tag("wrong")),
    )

    # A digest that is none is never asked for.
    assert not [asked for asked in place.registry.server.asked if ".." in asked]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_layers_as_the_configuration_says(place: World, count: int) -> None:
    made = document(place)
    made["layers"] = (made["layers"] * 2)[:count]
    place.registry.add_manifest(NAME, "wrong", OCI_MANIFEST, made)

    errors = (InvalidInput, Corrupt)
    check(Case("-", errors=errors), place, lambda client: pull(client, place.reference.with_tag("wrong")))


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b"{", b"[" * 100_000, b'{"rootfs": 5}', b"\xff"])
def test_a_configuration_that_is_none(place: World, config: bytes) -> None:
    made = document(place)
    made["config"].update(digest=place.registry.add_blob(NAME, config), size=len(config))
    place.registry.add_manifest(NAME, "wrong", OCI_MANIFEST, made)

    errors = (InvalidInput, Corrupt, Unsupported)
    check(Case("-", errors=errors), place, lambda client: pull(client, place.reference.with_tag("wrong")))


def test_a_configuration_that_is_too_large_is_not_fetched(place: World) -> None:
    made = document(place)
    large = b"{" + b" " * (9 << 20) + b"}"
    made["config"].update(digest=place.registry.add_blob(NAME, large), size=len(large))
    place.registry.add_manifest(NAME, "wrong", OCI_MANIFEST, made)

    check(
        Case("-", errors=(InvalidInput, Corrupt), sent=1 << 20),
        place,
        lambda client: pull(client, place.reference.with_tag("wrong")),
    )


def test_a_manifest_that_is_too_large(place: World) -> None:
    large = json.dumps(document(place)).encode() + b" " * (5 << 20)
    digest = place.registry.add_manifest(NAME, "large", OCI_MANIFEST, large)

    for text in (":large", f"@{digest}"):
        reference = dataclasses.replace(
            place.reference,
            tag=text[1:] if text[0] == ":" else "",
            digest=Digest.parse(digest) if text[0] == "@" else None,
        )
        case = Case("-", errors=(InvalidInput, Corrupt, SystemFailure), sent=12 << 20)
        check(case, place, lambda client, name=reference: client.get_manifest(name))  # type: ignore[misc]


def test_foreign_urls_are_never_followed(place: World, client: Client) -> None:
    made = document(place)
    made["layers"][0]["urls"] = [f"{place.elsewhere.url}/layer"]
    del place.blobs[made["layers"][0]["digest"]]
    place.registry.add_manifest(NAME, "foreign", OCI_MANIFEST, made)

    outcome = attempt(place, lambda: pull(client, place.reference.with_tag("foreign")))

    assert outcome.error is not None
    assert place.elsewhere.requests == []


def test_an_index_leads_to_the_image_of_the_platform(place: World, client: Client) -> None:
    arm = make_image(place.registry, NAME, "", b"arm", architecture="arm64")
    entries = [
        descriptor(digest=arm, platform={"os": "linux", "architecture": "arm64"}, size=_size(place, arm)),
        descriptor(digest=place.digest, size=_size(place, place.digest)),
    ]
    for media_type in (OCI_INDEX, DOCKER_INDEX):
        made = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
        digest = place.registry.add_manifest(NAME, "multi", media_type, made)

        image, layers = pull(client, place.reference.with_tag("multi"))

        assert str(image.digest) == digest
        assert str(image.received.digest) == place.digest
        assert layers == list(place.blobs.values())[:2]
        selected = select_manifest(parse_index(json.dumps(made).encode()), AMD64)
        assert selected.digest == place.digest


def test_an_index_that_leads_to_a_manifest_of_another_size(place: World) -> None:
    for size in (0, 1, 1 << 40):
        made = {"schemaVersion": 2, "manifests": [descriptor(digest=place.digest, size=size)]}
        place.registry.add_manifest(NAME, "multi", OCI_INDEX, made)
        errors = (InvalidInput, Corrupt)
        check(Case("-", errors=errors), place, lambda client: pull(client, place.reference.with_tag("multi")))


def test_indexes_in_indexes_end(place: World) -> None:
    digest, media_type = place.digest, OCI_MANIFEST
    for _ in range(40):
        made = {
            "schemaVersion": 2,
            "manifests": [descriptor(digest=digest, mediaType=media_type, size=_size(place, digest))],
        }
        digest, media_type = place.registry.add_manifest(NAME, "nested", OCI_INDEX, made), OCI_INDEX

    errors = (InvalidInput, Unsupported, NotFound)
    check(Case("-", errors=errors, requests=20), place, lambda client: pull(client, place.reference.with_tag("nested")))


def _size(place: World, digest: str) -> int:
    return len(place.registry.repository(NAME).manifests[digest])
