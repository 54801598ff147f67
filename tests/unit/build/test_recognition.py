import io
import os
from pathlib import Path

import pytest

from imagewright.archive import read_content
from imagewright.build.context import Context, read_context
from imagewright.build.known_contexts import KnownContext, KnownContexts
from imagewright.build.recognition import Recognition
from imagewright.errors import InvalidInput
from imagewright.filesystem import File, find
from support.builder import archive

MEBIBYTE = 1 << 20
DATA = os.urandom(3 * MEBIBYTE + 12345)


class Pieces:
    """A stream that gives as little at a time as it likes, and counts how often it is asked."""

    def __init__(self, data: bytes, size: int = 50_000) -> None:
        self._pieces = iter([data[at : at + size] for at in range(0, len(data), size)])
        self.ended = 0

    def read(self, n: int, /) -> bytes:
        piece = next(self._pieces, b"")
        assert len(piece) <= n
        self.ended += not piece
        return piece


def read_all(recognition: Recognition) -> bytes:
    return b"".join(iter(lambda: recognition.read(70_000), b""))


def recorded(path: str, data: bytes) -> KnownContext:
    with Recognition(Pieces(data), path, []) as recognition:
        assert recognition.known is None
        assert recognition.blocks() is None
        assert read_all(recognition) == data
        blocks = recognition.blocks()
    assert blocks is not None
    return KnownContext(blocks, "", b"", "")


def test_the_same_bytes_are_recognised(tmp_path: Path) -> None:
    path = str(tmp_path / "sent")
    known = recorded(path, DATA)
    with Recognition(Pieces(DATA, 1234), path, [known]) as recognition:
        assert recognition.known is known
    assert (tmp_path / "sent").read_bytes() == DATA


@pytest.mark.parametrize(
    "data",
    [
        b"",
        DATA[:100],
        DATA[:MEBIBYTE],
        DATA[: 2 * MEBIBYTE + 1],
        DATA[:-1],
        DATA + b"x",
        b"x" + DATA[1:],
        DATA[: MEBIBYTE + 5] + b"??" + DATA[MEBIBYTE + 7 :],
        DATA[:-1] + b"??",
    ],
)
def test_other_bytes_are_read_as_they_are(tmp_path: Path, data: bytes) -> None:
    path = str(tmp_path / "sent")
    known = recorded(path, DATA)
    stream = Pieces(data)
    with Recognition(stream, path, [known]) as recognition:
        assert recognition.known is None
        assert read_all(recognition) == data
        assert recognition.read(1) == b""
        again = recognition.blocks()
    assert stream.ended == 1
    assert again is not None
    assert again != known.blocks
    assert recorded(path, data).blocks == again
    assert os.listdir(tmp_path) == []


def test_one_of_several(tmp_path: Path) -> None:
    path = str(tmp_path / "sent")
    variants = [DATA, DATA[:-1], DATA[: 2 * MEBIBYTE] + b"?" + DATA[2 * MEBIBYTE + 1 :]]
    candidates = [recorded(path, data) for data in variants]
    for data, known in zip(variants, candidates, strict=True):
        with Recognition(Pieces(data), path, candidates) as recognition:
            assert recognition.known is known
        os.unlink(path)


def test_an_error_of_the_stream_comes_out(tmp_path: Path) -> None:
    class Cut(Pieces):
        def read(self, n: int, /) -> bytes:
            raise InvalidInput(f"unexpected EOF: {n}")

    known = recorded(str(tmp_path / "sent"), DATA)
    with pytest.raises(InvalidInput, match="unexpected EOF"):
        Recognition(Cut(b""), str(tmp_path / "sent"), [known])


def read(tmp_path: Path, data: bytes, known: KnownContexts, asked: str = "", *, recognise: bool = True) -> Context:
    directory = tmp_path / f"build{len(os.listdir(tmp_path))}"
    directory.mkdir()
    return read_context(io.BytesIO(data), str(directory), asked, known=known, recognise=recognise)


FILES = {"Dockerfile": b"FROM a", "other": b"FROM b", "f": b"x" * 700, ".dockerignore": b"Dockerfile\n.dockerignore"}


def test_a_recognised_context_has_the_same_files(tmp_path: Path) -> None:
    known = KnownContexts()
    first = read(tmp_path, archive(FILES), known)
    second = read(tmp_path, archive(FILES), known)
    assert first.known is not None
    assert second.known is first.known
    assert (second.dockerfile, second.name) == (first.dockerfile, first.name) == (b"FROM a", "Dockerfile")
    assert first.tree is not None
    assert second.tree is not None
    assert second.tree is second.tree
    assert sorted(second.tree.children) == sorted(first.tree.children) == ["f", "other"]
    file = find(second.tree, "f")
    assert isinstance(file, File)
    assert read_content(file.content, 1000) == b"x" * 700


def test_another_dockerfile_is_another_context(tmp_path: Path) -> None:
    known = KnownContexts()
    first = read(tmp_path, archive(FILES), known)
    other = read(tmp_path, archive(FILES), known, "other")
    assert other.known is not first.known
    assert (other.dockerfile, other.name) == (b"FROM b", "other")
    assert other.tree is not None
    assert sorted(other.tree.children) == ["Dockerfile", "f", "other"]


def test_files_that_are_needed_for_certain_are_read_at_once(tmp_path: Path) -> None:
    known = KnownContexts()
    first = read(tmp_path, archive(FILES), known)
    again = read(tmp_path, archive(FILES), known, recognise=False)
    assert again.known is first.known
    assert not list(tmp_path.rglob("sent"))


def test_nothing_is_remembered_of_what_is_wrong(tmp_path: Path) -> None:
    known = KnownContexts()
    for data in (b"x" * 600, archive({"f": b""})):
        for _ in range(2):
            with pytest.raises(InvalidInput):
                read(tmp_path, data, known)
    assert known.candidates("") == []
