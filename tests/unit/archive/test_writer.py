import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.archive import Member, Spool, layer_size, read_layer, write_layer, write_members
from imagewright.errors import Corrupt, InvalidInput
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Node, Symlink
from imagewright.oci import Digest
from unit.archive.raw_tar import END, Stream, header, member


class Bytes:
    """A `ContentReader` over contents in memory, their names being the bytes."""

    def __call__(self, content: Content, /) -> Iterator[bytes]:
        data = content.extent.path.encode()
        return iter([data[:3], data[3:]])


def file(text: str) -> File:
    return File(mode=0o644, content=Content(Digest.of(text.encode()), len(text), Extent(text)))


def written(*changes: Change) -> bytes:
    out = io.BytesIO()
    diff_id = write_layer(Layer(changes), out, read=Bytes())
    assert diff_id.encoded == hashlib.sha256(out.getvalue()).hexdigest()
    return out.getvalue()


def test_an_empty_layer_is_an_empty_tar() -> None:
    assert written() == END


def test_every_change_is_a_member() -> None:
    hello = file("hello")
    directory = Directory(mode=0o755)
    data = written(
        Put("", directory),
        Opaque(""),
        Put("d", directory),
        Opaque("d"),
        Whiteout("d/gone"),
        Put("d/s", Symlink(mode=0o777, target="../f")),
        Put("f", hello),
        Put("g", hello),
        Put("p", Fifo(mode=0o644)),
        Put("b", Device(mode=0o644, kind="block", major=1, minor=2)),
        Put("c", Device(mode=0o644, kind="character", major=1, minor=2)),
        Whiteout("x"),
    )
    nothing = b"0000000\0"
    assert data == b"".join(
        [
            header(b"./", kind=b"5", mode=b"0000755\0"),
            header(b".wh..wh..opq", mode=nothing),
            header(b"d/", kind=b"5", mode=b"0000755\0"),
            header(b"d/.wh..wh..opq", mode=nothing),
            header(b"d/.wh.gone", mode=nothing),
            header(b"d/s", kind=b"2", link=b"../f", mode=b"0000777\0"),
            member(b"f", b"hello"),
            header(b"g", kind=b"1", link=b"f"),
            header(b"p", kind=b"6"),
            header(b"b", kind=b"4", major=b"0000001\0", minor=b"0000002\0"),
            header(b"c", kind=b"3", major=b"0000001\0", minor=b"0000002\0"),
            header(b".wh.x", mode=nothing),
            END,
        ]
    )


def test_equal_nodes_are_no_hard_links() -> None:
    assert written(Put("a", file("x")), Put("b", file("x"))) == member(b"a", b"x") + member(b"b", b"x") + END


def test_links_to_symbolic_links_and_devices_are_links_too() -> None:
    nodes: list[Node] = [Symlink(mode=0o777, target="t"), Fifo(mode=0), Device(mode=0, kind="block", major=0, minor=0)]
    for node in nodes:
        assert written(Put("a", node), Put("b", node))[512 + 156 : 512 + 160] == b"1a\0\0"


@pytest.mark.parametrize("path", [".wh.x", "d/.wh.x", ".wh.d/x", ".wh..wh..opq"])
def test_refuses_names_that_would_remove_something(path: str) -> None:
    for change in (Put(path, file("x")), Whiteout(path), Opaque(path)):
        with pytest.raises(InvalidInput, match=r"begins with .wh.$"):
            written(change)
    assert written(Put("a.wh.x", file("x")))


@pytest.mark.parametrize("size", [0, 4, 6, 1 << 40])
def test_a_content_of_another_size_is_corrupt(size: int) -> None:
    content = Content(Digest.of(b"hello"), size, Extent("hello"))
    with pytest.raises(Corrupt, match=f"^the bytes of {content.digest} are not {size}$"):
        written(Put("f", File(mode=0, content=content)))


def test_what_reads_contents_by_default_is_their_extent(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"xxhello")
    content = Content(Digest.of(b"hello"), 5, Extent(str(path), 2))
    out = io.BytesIO()
    write_layer(Layer((Put("f", File(mode=0o644, content=content)),)), out)
    assert out.getvalue() == member(b"f", b"hello") + END


def test_large_contents_come_back(tmp_path: Path) -> None:
    path = tmp_path / "data"
    data = bytes(range(256)) * 20_000
    path.write_bytes(data)
    content = Content(Digest.of(data), len(data), Extent(str(path)))
    layer = Layer((Put("f", File(mode=0o644, content=content)),))
    out = io.BytesIO()
    diff_id = write_layer(layer, out)
    with Spool(str(tmp_path / "spool")) as spool:
        assert read_layer(Stream(out.getvalue()), spool) == (layer, diff_id)


def test_a_failure_to_write_comes_out() -> None:
    class Full:
        def write(self, _data: bytes, /) -> None:
            raise OSError("full")

    with pytest.raises(OSError, match=r"^full$"):
        write_layer(Layer(()), Full())


def test_members_are_written_in_their_order() -> None:
    out = io.BytesIO()
    members = [
        Member(path="d", kind="directory", mode=0o755, mtime_ns=10**9),
        Member(path="d/a", data=b"hello"),
        Member(path="d/b", data=iter([b"hel", b"lo"]), size=5, uid=1, gid=2),
        Member(path="l", kind="symlink", link="d/a"),
        Member(path="empty", data=[]),
    ]
    write_members(members, out)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        infos = archive.getmembers()
        assert [(i.name, i.type, i.size, i.linkname, i.uid, i.gid, i.mtime) for i in infos] == [
            ("d", b"5", 0, "", 0, 0, 1),
            ("d/a", b"0", 5, "", 0, 0, 0),
            ("d/b", b"0", 5, "", 1, 2, 0),
            ("l", b"2", 0, "d/a", 0, 0, 0),
            ("empty", b"0", 0, "", 0, 0, 0),
        ]
        assert [archive.extractfile(i).read() for i in infos[1:3]] == [b"hello"] * 2  # type: ignore[union-attr]


def test_a_member_of_another_size_is_corrupt() -> None:
    with pytest.raises(Corrupt, match=r"^the bytes of f are not 4$"):
        write_members([Member(path="f", data=[b"hello"], size=4)], io.BytesIO())


def test_the_size_of_a_layer_counts_hard_links_once() -> None:
    hello = file("hello")
    layer = Layer(
        (Put("a", hello), Put("b", hello), Put("c", file("hello")), Put("d", Directory(mode=0)), Whiteout("e"))
    )
    assert layer_size(layer) == 10
