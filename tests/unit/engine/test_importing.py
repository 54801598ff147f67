import bz2
import gzip
import hashlib
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from backports import zstd

from imagewright.cancellation import Cancellation
from imagewright.engine.importing import import_image
from imagewright.errors import Cancelled, InvalidInput
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.store import Store
from support.builder import archive

_TAR = archive({"f": "data"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def _import(
    store: Store,
    data: bytes,
    *,
    names: Sequence[str] = (),
    changes: Sequence[str] = (),
    platform: Platform | None = None,
    cancellation: Cancellation | None = None,
) -> Digest:
    return import_image(
        store,
        io.BytesIO(data),
        references=[Reference.parse(name) for name in names],
        changes=changes,
        message="a message",
        platform=platform or Platform("linux", "amd64"),
        clock=lambda: 1_000_000_000,
        cancellation=cancellation or Cancellation(),
    )


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_the_layer_is_the_tar_as_it_is(store: Store, compress: Callable[[bytes], bytes]) -> None:
    image = store.get_image(_import(store, compress(_TAR), names=["a:1"]))
    assert image.config.diff_ids == (Digest.of(_TAR),)
    assert [tag.familiar for tag in image.tags] == ["a:1"]


def test_the_configuration(store: Store) -> None:
    changes = ['CMD ["sh"]', "ENV A=b", "EXPOSE 80", "LABEL c=d", "ONBUILD RUN x", "USER u", "WORKDIR /w", "VOLUME /v"]
    config = store.get_image(_import(store, _TAR, changes=changes, platform=Platform("linux", "arm", "v7"))).config
    assert (config.os, config.architecture, config.variant) == ("linux", "arm", "v7")
    assert (config.run.cmd, config.run.env, config.run.user) == (("sh",), ("A=b",), "u")
    assert (config.created, config.comment) == ("1970-01-01T00:00:01Z", "a message")
    assert [(step.comment, step.created, step.empty_layer) for step in config.history or ()] == [
        ("a message", "1970-01-01T00:00:01Z", False)
    ]


@pytest.mark.parametrize("data", [b"", bytes(1024), gzip.compress(b"")])
def test_nothing_makes_an_empty_layer(store: Store, data: bytes) -> None:
    plain = b"" if data[:2] == b"\x1f\x8b" else data
    config = store.get_image(_import(store, data)).config
    assert config.diff_ids == (Digest(hashlib.sha256(plain).hexdigest()),)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x" * 100, "unexpected EOF"),
        (b"x" * 2000, "archive/tar: invalid tar header"),
        (_TAR[:514], "unexpected EOF"),
        (_TAR[:300], "unexpected EOF"),
        (gzip.compress(_TAR)[:60], "unexpected EOF"),
        (gzip.compress(b"x" * 2000), "archive/tar: invalid tar header"),
    ],
)
def test_what_is_no_tar_leaves_nothing(store: Store, tmp_path: Path, data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^Error processing tar file\(exit status 1\): {message}$"):
        _import(store, data)
    assert store.image_count() == 0
    assert [
        path for name in ("ingest", "layers", "blobs/sha256") for path in (tmp_path / "root" / name).iterdir()
    ] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("FOO bar", "foo is not a valid change command"),
        ("RUN x", "run is not a valid change command"),
        ("COPY a b", "copy is not a valid change command"),
        ("STOPSIGNAL 9", "stopsignal is not a valid change command"),
        ('SHELL ["a"]', "shell is not a valid change command"),
        ("MAINTAINER x", "maintainer is not a valid change command"),
        ("ENV A", "ENV must have two arguments"),
        ("", "file with no instructions"),
    ],
)
def test_changes_are_looked_at_before_the_stream(store: Store, change: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        _import(store, b"x" * 2000, changes=[change])


def test_cancelled(store: Store, tmp_path: Path) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        _import(store, _TAR, cancellation=cancellation)
    assert store.image_count() == 0
    assert list((tmp_path / "root" / "layers").iterdir()) == []
