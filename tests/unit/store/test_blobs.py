import gzip
import io
import os

import pytest

from imagewright.archive import Writable
from imagewright.errors import Corrupt, NotFound
from imagewright.oci import Digest
from support.builder import archive
from unit.store.seeding import Seed

TAR = archive({"a": "one"})
DIFF_ID = Digest.of(TAR)
PACKED = gzip.compress(TAR, mtime=0)
BLOB = Digest.of(PACKED)


def files(seed: Seed) -> list[str]:
    return [name for _, _, names in os.walk(f"{seed.root}/layers") for name in names if name.startswith("blob-")]


def test_a_form_goes_with_its_layer(seed: Seed) -> None:
    blobs = seed.store.blobs
    with seed.store.lease():
        blobs.add_stream(io.BytesIO(PACKED), DIFF_ID)
        blobs.note_place(DIFF_ID, BLOB, "localhost:5000/d")
        image = seed.image("x:1", layers=[DIFF_ID])
    blobs.add_manifest(image, "type", b"{}")
    (found,) = seed.reopen().blobs.find(DIFF_ID)
    assert (found.digest, found.size, found.repositories) == (BLOB, len(PACKED), frozenset({"localhost:5000/d"}))
    with seed.store.blobs.open(DIFF_ID, BLOB) as file:
        assert file.read() == PACKED
    seed.store.remove_image("x:1")
    assert files(seed) == []
    assert seed.store.blobs.find(DIFF_ID) == []
    assert seed.store.blobs.list_manifests(image) == []
    with pytest.raises(NotFound):
        seed.store.blobs.open(DIFF_ID, BLOB)


def test_what_is_not_whole_is_forgotten(seed: Seed) -> None:
    with seed.store.lease():
        seed.store.blobs.add_stream(io.BytesIO(PACKED), DIFF_ID)
        seed.image("x:1", layers=[DIFF_ID])
    (name,) = files(seed)
    path = f"{seed.root}/layers/{DIFF_ID.encoded}/{name}"
    os.truncate(path, 3)
    with open(f"{os.path.dirname(path)}/blob-{'a' * 64}", "wb") as file:
        file.write(b"of nobody")
    assert seed.reopen().lost == ()
    assert files(seed) == []
    assert seed.store.blobs.find(DIFF_ID) == []
    assert seed.store.has_layer(DIFF_ID)


def test_another_layer_is_refused(seed: Seed) -> None:
    with pytest.raises(Corrupt):
        seed.store.blobs.add_stream(io.BytesIO(PACKED), Digest.of(b"other"))
    assert files(seed) == []


def test_an_uncompressed_layer_has_no_other_form(seed: Seed) -> None:
    def write(out: Writable) -> None:
        out.write(PACKED)

    with seed.store.lease():
        seed.store.blobs.add_stream(io.BytesIO(TAR), DIFF_ID)
        assert seed.store.blobs.find(DIFF_ID) == []
        made = seed.store.blobs.add(DIFF_ID, write)
        assert seed.store.blobs.find(DIFF_ID) == [made]
