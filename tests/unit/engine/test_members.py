import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine.members import Members, blob_path, quote
from imagewright.errors import Corrupt, InvalidInput, SystemFailure
from imagewright.events import ignore
from imagewright.oci import Descriptor, Digest
from imagewright.store import Store
from support.builder import Content, Member, archive

_LARGE = 9 << 20


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


@pytest.fixture
def members(store: Store, tmp_path: Path) -> Iterator[Members]:
    with store.lease():
        yield Members(store, str(tmp_path), ignore, Cancellation())


def _read(members: Members, *files: tuple[str, Content]) -> Members:
    members.read(io.BytesIO(archive(files)))
    return members


def _descriptor(data: bytes, *, size: int | None = None) -> Descriptor:
    return Descriptor(media_type="x", digest=str(Digest.of(data)), size=len(data) if size is None else size)


def _large(seed: int = 0) -> bytes:
    return archive({"f": bytes([seed]) * _LARGE})


def test_documents(members: Members) -> None:
    _read(members, ("./a", "first"), ("a", "second"), ("/d/../b", "b"), ("c", "ü"), ("raw", b"\xff"))
    assert members.document("a", 6) == b"second"
    assert members.document("x/../b", 1) == b"b"
    assert members.document("c", 2) == "ü".encode()
    with pytest.raises(InvalidInput, match=r'^"a" has 6 bytes, more than the 5 that are read of it$'):
        members.document("a", 5)
    with pytest.raises(InvalidInput, match=r'^"raw" is no text in UTF-8$'):
        members.document("raw", 5)
    with pytest.raises(InvalidInput, match=r'^invalid archive: "nope" is not in it$'):
        members.document("nope", 5)


@pytest.mark.parametrize("other", [Member.directory(), Member(type=b"6")])
def test_what_is_no_file_any_more(members: Members, other: Member) -> None:
    assert not _read(members, ("a", "x"), ("a", other)).has("a")


def test_links(members: Members) -> None:
    _read(
        members,
        ("real/a", "x"),
        ("there", Member.symlink("real")),
        ("absolute", Member.symlink("/there/a")),
        ("above", Member.symlink("../../../real/a")),
        ("hard", Member.hard_link("real/a")),
        ("hard-link", Member.hard_link("absolute")),
        ("loop", Member.symlink("./loop")),
        ("out", Member.symlink("/etc/passwd")),
    )
    for path in ("there/a", "absolute", "above", "hard", "hard-link"):
        assert members.document(path, 1) == b"x"
    assert not members.has("out")
    assert not members.has("there")
    with pytest.raises(InvalidInput, match="too many links in /loop"):
        members.has("loop")


def test_blobs(members: Members) -> None:
    _read(members, (blob_path(_descriptor(b"a")), b"a"), (blob_path(_descriptor(b"b")), b"other"))
    assert members.document(members.blob(_descriptor(b"a")), 1) == b"a"
    with pytest.raises(Corrupt, match="does not match its digest"):
        members.blob(_descriptor(b"b"))
    with pytest.raises(Corrupt, match="has 1 bytes, not the 2 that its descriptor says"):
        members.blob(_descriptor(b"a", size=2))
    with pytest.raises(InvalidInput, match="invalid digest"):
        members.blob(Descriptor(media_type="x", digest="md5:0", size=1))


def test_large_blobs_are_layers(members: Members, store: Store) -> None:
    data, garbage = _large(), b"x" * _LARGE
    _read(members, (blob_path(_descriptor(data)), data), (blob_path(_descriptor(garbage)), garbage))
    path = members.blob(_descriptor(data))
    assert members.stored == {Digest.of(data)}
    assert store.has_layer(Digest.of(data))
    members.store_layer(0, path, Digest.of(data))
    with pytest.raises(InvalidInput, match="invalid tar header"):
        members.blob(_descriptor(garbage))


def test_a_large_layer_that_is_there_is_only_verified(members: Members, store: Store) -> None:
    data, other = _large(), _large(1)
    for layer in (data, other):
        store.add_layer_stream(io.BytesIO(layer))
    _read(members, (hashlib.sha256(data).hexdigest(), data), (hashlib.sha256(other).hexdigest(), data))
    assert not members.stored
    members.store_layer(0, Digest.of(data).encoded, Digest.of(data))
    with pytest.raises(Corrupt, match="invalid diffID for layer 3: expected"):
        members.store_layer(3, Digest.of(other).encoded, Digest.of(other))


def test_large_members_that_begin_as_compressed_ones(members: Members) -> None:
    _read(members, ("xz", b"\xfd7zXZ\0" + bytes(_LARGE)))
    with pytest.raises(InvalidInput, match=r'"xz": xz: '):
        members.store_layer(0, "xz", Digest.of(b""))


def test_what_is_kept_is_not_kept_twice(members: Members, tmp_path: Path) -> None:
    (tmp_path / "members").touch()
    with pytest.raises(SystemFailure, match=r"^cannot keep the archive: File exists$"):
        _read(members)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [("a b", '"a b"'), ("a\nb\x1b", r'"a\nb\x1b"'), ("\udcff", r'"\udcff"'), ("x" * 200, f'"{"x" * 100}..."')],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted
