import msgspec
import pytest

from imagewright.archive import decode_index, encode_index
from imagewright.errors import Corrupt
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Symlink
from imagewright.oci import Digest


def file(path: str, offset: int = 0) -> File:
    return File(mode=0o644, mtime_ns=-1, content=Content(Digest.of(path.encode()), 5, Extent(path, offset)))


def extents(layer: Layer) -> list[Extent]:
    return [
        change.node.content.extent
        for change in layer.changes
        if isinstance(change, Put) and isinstance(change.node, File)
    ]


def same(text: str) -> str:
    return text


def test_every_change_comes_back() -> None:
    hello = file("/spool", 512)
    changes: tuple[Change, ...] = (
        Put("", Directory(mode=0o755)),
        Opaque(""),
        Whiteout("a"),
        Put("a", hello),
        Put("b", hello),
        Put("c\udcff", Symlink(mode=0o777, target="\udcfe")),
        Put(
            "d", Directory(mode=0o1777, uid=1, gid=2, mtime_ns=2**63 - 1, xattrs={"user.x": b"\0", "user.\udcff": b""})
        ),
        Opaque("d"),
        Put("e", Device(mode=0, kind="block", major=1, minor=2)),
        Put("f", Device(mode=0, kind="character", major=1, minor=2)),
        Put("g", Fifo(mode=0)),
        Put("h", file("/spool", 512)),
    )
    layer = Layer(changes)
    again = decode_index(encode_index(layer, same), same)
    assert again == layer
    assert extents(again) == extents(layer)
    first, second, third = (again.changes[n] for n in (3, 4, 11))
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert isinstance(third, Put)
    assert first.node is second.node is not third.node


def test_extents_are_renamed_once_for_each_path_and_located_again() -> None:
    renamed, located = [], []

    def rename(path: str) -> str:
        renamed.append(path)
        return {"/tmp/spool": "tar", "/tmp/spool.sparse": "sparse"}[path]

    def locate(name: str) -> str:
        located.append(name)
        return f"/store/{name}"

    layer = Layer(
        (Put("a", file("/tmp/spool", 1)), Put("b", file("/tmp/spool.sparse")), Put("c", file("/tmp/spool", 2)))
    )
    data = encode_index(layer, rename)
    assert extents(decode_index(data, locate)) == [
        Extent("/store/tar", 1),
        Extent("/store/sparse"),
        Extent("/store/tar", 2),
    ]
    assert renamed == ["/tmp/spool", "/tmp/spool.sparse"]
    assert located == ["tar", "sparse"]


def test_files_of_a_directory_name_the_directory_once() -> None:
    located = []

    def locate(name: str) -> str:
        located.append(name)
        return f"/store/{name}"

    puts = tuple(Put(f"d/f{n}", file(f"/upper/d/f{n}")) for n in range(100))
    data = encode_index(Layer(puts), lambda path: f"fs{path.removeprefix('/upper')}")
    assert [extent.path for extent in extents(decode_index(data, locate))] == [f"/store/fs/d/f{n}" for n in range(100)]
    assert located == ["fs"]


def good() -> list[object]:
    data = encode_index(Layer((Put("a", file("/spool")), Put("b", Fifo(mode=0)))), same)
    decoded: list[object] = msgspec.msgpack.decode(data)
    return decoded


def test_the_good_index_of_these_tests_is_good() -> None:
    assert len(decode_index(msgspec.msgpack.encode(good()), same).changes) == 2


@pytest.mark.parametrize(
    "index",
    [
        {},
        [],
        [2, [], []],
        [1, [], [[9, b"a"]]],
        [1, [], [[2, b"a", 0]]],
        [1, [], [[0, b"a"], [2, b"b", 0]]],
        [1, [], [[2, b"a", -1]]],
        [1, [], [[4, b"a", 0, 0, 0, 0, [], bytes(32), 5, 0, 0]]],
        [1, [b"x"], [[4, b"a", 0, 0, 0, 0, [], bytes(31), 5, 0, 0]]],
        [1, [b"x"], [[4, b"a", 0, 0, 0, 0, [], bytes(32), -5, 0, 0]]],
        [1, [b"x"], [[4, b"a", 0, 0, 0, 0, [], bytes(32), 5, -1, 0]]],
    ],
)
def test_anything_else_is_corrupt(index: object) -> None:
    with pytest.raises(Corrupt):
        decode_index(msgspec.msgpack.encode(index), same)


def test_cut_bytes_are_corrupt() -> None:
    data = msgspec.msgpack.encode(good())
    for end in range(len(data)):
        with pytest.raises(Corrupt, match="damaged"):
            decode_index(data[:end], same)
