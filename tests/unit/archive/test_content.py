import os
from pathlib import Path

import pytest

from imagewright.archive import Contents, copy_content, open_content, read_content
from imagewright.archive import content as module
from imagewright.errors import Corrupt, InvalidInput, SystemFailure
from imagewright.filesystem.tree import Content, Extent
from imagewright.oci import Digest


def content(path: Path, offset: int, size: int) -> Content:
    return Content(Digest.of(b""), size, Extent(str(path), offset))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(bytes(range(256)) * 10)
    return path


def test_reads_a_slice(data: Path) -> None:
    assert read_content(content(data, 5, 3), 3) == b"\5\6\7"
    assert read_content(content(data, 5, 0), 0) == b""


def test_refuses_more_than_the_limit(data: Path) -> None:
    with pytest.raises(InvalidInput, match="larger than the 2"):
        read_content(content(data, 5, 3), 2)


def test_pieces_are_of_bounded_size(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 1000)
    with Contents() as contents:
        pieces = list(contents.pieces(content(data, 10, 2500)))
        assert [len(piece) for piece in pieces] == [1000, 1000, 500]
        assert b"".join(pieces) == data.read_bytes()[10:2510]
        assert list(contents.pieces(content(data, 10, 1000))) == [data.read_bytes()[10:1010]]
        assert list(contents.pieces(content(data, 10, 0))) == []


def test_copies_to_a_descriptor(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, piece: write(fd, piece[:700]))
    fd = os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    try:
        copy_content(content(data, 1, 2000), fd)
    finally:
        os.close(fd)
    assert (tmp_path / "copy").read_bytes() == data.read_bytes()[1:2001]


def test_a_copy_that_cannot_be_written_is_a_failure(data: Path) -> None:
    fd = os.open(data, os.O_RDONLY)
    try:
        with pytest.raises(SystemFailure, match=r"^cannot write a file: "):
            copy_content(content(data, 0, 10), fd)
    finally:
        os.close(fd)


def test_few_files_stay_open(tmp_path: Path) -> None:
    contents = Contents()
    for number in range(100):
        path = tmp_path / str(number)
        path.write_bytes(b"%d" % number)
        assert contents.read(content(path, 0, len(str(number)))) == b"%d" % number
        assert len(contents._open) <= 16
    contents.close()
    contents.close()
    assert not contents._open


def test_a_file_is_opened_once(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Contents() as contents:
        contents.read(content(data, 0, 1))
        monkeypatch.setattr(os, "open", None)
        assert contents.read(content(data, 1, 1)) == b"\1"


def test_missing_bytes_are_corruption(data: Path) -> None:
    with pytest.raises(Corrupt, match=r"are cut$"):
        read_content(content(data, 2559, 2), 10)
    with open_content(content(data, 2559, 2)) as stream, pytest.raises(Corrupt, match=r"are cut$"):
        stream.read()


@pytest.mark.parametrize("kind", ["missing", "link"])
def test_a_file_that_cannot_be_opened_is_a_failure(kind: str, data: Path, tmp_path: Path) -> None:
    if kind == "link":
        (tmp_path / "link").symlink_to(data)
    for read in (open_content, lambda it: read_content(it, 10)):
        with pytest.raises(SystemFailure, match=r"^cannot open the bytes of sha256:") as caught:
            read(content(tmp_path / kind, 0, 1))
        assert str(tmp_path) not in str(caught.value)


def test_a_directory_is_no_content(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match=r"^cannot read a file: "):
        read_content(content(tmp_path, 0, 1), 10)


def test_a_fifo_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises((SystemFailure, Corrupt)):
        read_content(content(tmp_path / "fifo", 0, 1), 10)


def test_an_open_content_is_a_seekable_file(data: Path) -> None:
    with open_content(content(data, 10, 20)) as stream:
        assert stream.seekable()
        assert stream.readable()
        assert stream.read(3) == b"\x0a\x0b\x0c"
        assert stream.tell() == 3
        assert stream.read() == bytes(range(13, 30))
        assert stream.read(1) == b""
        stream.seek(-1, os.SEEK_END)
        assert stream.read() == b"\x1d"
        stream.seek(2)
        stream.seek(2, os.SEEK_CUR)
        assert stream.read(1) == b"\x0e"
        stream.seek(100)
        assert stream.read() == b""
    assert stream.closed
