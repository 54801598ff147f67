import gzip
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from imagewright.archive import Limits, Spool, is_archive, read_content, read_layer, read_tree
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Content, Device, Directory, Extent, Fifo, File, Symlink, Tree, find, walk
from imagewright.oci import Digest
from unit.archive.raw_tar import END, Stream, header, member, padded, pax


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(str(tmp_path / "spool"))


def tree_of(data: bytes, spool: Spool, limits: Limits | None = None) -> Tree:
    with spool:
        return read_tree(Stream(data, 1000), spool, limits=limits or Limits())


def layer_of(data: bytes, spool: Spool) -> tuple[Change, ...]:
    with spool:
        layer, diff_id = read_layer(Stream(data, 1000), spool)
    assert diff_id == Digest.of(data)
    return layer.changes


def file(data: bytes, spool: Spool, offset: int) -> File:
    return File(mode=0o644, content=Content(Digest.of(data), len(data), Extent(spool.path, offset)))


def test_a_tree_has_every_kind_of_node(spool: Spool) -> None:
    data = (
        member(b"f", b"hello")
        + header(b"d/", kind=b"5", mode=b"0001777\0", uid=b"0000001\0", gid=b"0000002\0")
        + header(b"d/s", kind=b"2", link=b"../f", mode=b"0000700\0")
        + header(b"d/p", kind=b"6")
        + header(b"d/b", kind=b"4", major=b"0000007\0", minor=b"0000001\0")
        + header(b"d/c", kind=b"3")
        + header(b"d/h", kind=b"1", link=b"f")
        + END
    )
    tree = tree_of(data, spool)
    hello = file(b"hello", spool, 512)
    assert tree == Directory(
        mode=0o755,
        children={
            "f": hello,
            "d": Directory(
                mode=0o1777,
                uid=1,
                gid=2,
                children={
                    "s": Symlink(mode=0o777, target="../f"),
                    "p": Fifo(mode=0o644),
                    "b": Device(mode=0o644, kind="block", major=7, minor=1),
                    "c": Device(mode=0o644, kind="character", major=0, minor=0),
                    "h": hello,
                },
            ),
        },
    )
    assert find(tree, "d/h") is find(tree, "f")
    assert Path(spool.path).read_bytes() == data


def test_contents_are_read_from_the_spool(spool: Spool) -> None:
    big = os.urandom(3_000_000)
    tree = tree_of(member(b"a", b"first") + member(b"b", big) + member(b"c") + END, spool)
    contents = [node.content for _, node in walk(tree) if isinstance(node, File)]
    assert [content.extent.offset for content in contents] == [512, 1536, 1536 + 3_000_320 + 512]
    assert [read_content(content, 1 << 30) for content in contents] == [b"first", big, b""]
    assert [content.digest for content in contents] == [Digest.of(b"first"), Digest.of(big), Digest.of(b"")]


def test_a_sparse_content_is_kept_beside_the_spool_with_its_holes(spool: Spool) -> None:
    records = {b"GNU.sparse.size": b"10000000", b"GNU.sparse.map": b"5000000,3,9000000,2"}
    sparse = pax(records) + member(b"a", b"abcde")
    tree = tree_of(
        sparse + pax({b"GNU.sparse.map": b"1,1", b"GNU.sparse.size": b"3"}) + member(b"b", b"x") + END, spool
    )
    content = bytes(5_000_000) + b"abc" + bytes(3_999_997) + b"de" + bytes(999_998)
    first, second = (node.content for _, node in walk(tree) if isinstance(node, File))
    assert spool.sparse
    assert (first.extent.path, first.size, first.digest) == (spool.sparse_path, 10_000_000, Digest.of(content))
    assert read_content(first, 1 << 30) == content
    assert read_content(second, 1 << 30) == b"\0x\0"
    assert Path(spool.sparse_path).stat().st_blocks * 512 < 200_000


def test_a_context_grants_no_privileges(spool: Spool) -> None:
    records = {
        b"SCHILY.xattr.security.capability": b"1",
        b"SCHILY.xattr.security.selinux": b"1",
        b"SCHILY.xattr.trusted.overlay.opaque": b"y",
        b"SCHILY.xattr.user.x": b"1",
    }
    tree = tree_of(pax(records) + member() + END, spool)
    assert tree.children["f"].xattrs == {"user.x": b"1"}


def test_a_layer_keeps_capabilities(spool: Spool) -> None:
    records = {
        b"SCHILY.xattr.security.capability": b"1",
        b"SCHILY.xattr.security.selinux": b"1",
        b"SCHILY.xattr.trusted.overlay.opaque": b"y",
    }
    (put,) = layer_of(pax(records) + header(b"d", kind=b"5") + END, spool)
    assert isinstance(put, Put)
    assert put.node.xattrs == {"security.capability": b"1"}


def test_whiteouts_are_files_in_a_context(spool: Spool) -> None:
    tree = tree_of(member(b"d/.wh.x") + member(b"d/.wh..wh..opq") + END, spool)
    assert [path for path, _ in walk(tree)] == ["d", "d/.wh..wh..opq", "d/.wh.x"]


def test_a_context_says_nothing_of_its_root(spool: Spool) -> None:
    data = header(b"./", kind=b"5", mode=b"0000700\0") + member(b".", b"x") + header(b"..", kind=b"5") + END
    assert tree_of(data, spool) == Directory(mode=0o755)


def test_a_layer_may_say_something_of_its_root(spool: Spool) -> None:
    assert layer_of(header(b"./", kind=b"5", mode=b"0000700\0") + END, spool) == (Put("", Directory(mode=0o700)),)


def test_a_layer_removes_what_its_whiteouts_name(spool: Spool) -> None:
    data = (
        member(b"d/new")
        + header(b"d", kind=b"5", mode=b"0000755\0")
        + member(b"./d/.wh.old")
        + member(b"d/.wh..wh..opq")
        + member(b".wh.gone", b"whatever")
        + member(b"d/not.wh.x")
        + END
    )
    changes = layer_of(data, spool)
    assert [(type(change).__name__, change.path) for change in changes] == [
        ("Put", "d"),
        ("Opaque", "d"),
        ("Put", "d/new"),
        ("Put", "d/not.wh.x"),
        ("Whiteout", "d/old"),
        ("Whiteout", "gone"),
    ]


def test_a_whiteout_concerns_lower_layers_only(spool: Spool) -> None:
    for data in (member(b"x") + member(b".wh.x"), member(b".wh.x") + member(b"x")):
        removed, put = layer_of(data + END, Spool(f"{spool.path}{len(data)}{data[0]}"))
        assert (removed, put.path) == (Whiteout("x"), "x")


def test_the_root_may_be_opaque(spool: Spool) -> None:
    assert layer_of(member(b".wh..wh..opq") + END, spool) == (Opaque(""),)


@pytest.mark.parametrize(
    "name",
    [
        b".wh.",
        b".wh..",
        b"d/.wh...",
        b"d/.wh..wh.x",
        b".wh.d/f",
        b"d/.wh..wh..opq/f",
        b"d/.wh.x/.wh.y",
        b".wh..wh."[:4],
    ],
)
def test_refuses_names_that_look_like_whiteouts(name: bytes, spool: Spool) -> None:
    with pytest.raises(InvalidInput, match=r"invalid whiteout$"):
        layer_of(member(name) + END, spool)


def test_what_aufs_kept_for_itself_is_passed_over(spool: Spool) -> None:
    data = (
        header(b".wh..wh.aufs", kind=b"0")
        + header(b".wh..wh.orph/", kind=b"5")
        + header(b".wh..wh.plnk/", kind=b"5")
        + member(b".wh..wh.plnk/12.34", b"linked")
        + header(b"a", kind=b"1", link=b".wh..wh.plnk/12.34")
        + header(b"b", kind=b"1", link=b".wh..wh.plnk/12.34")
        + header(b".wh.gone", kind=b"1", link=b".wh..wh.aufs")
        + END
    )
    first, second, gone = layer_of(data, spool)
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert (first.path, second.path, gone) == ("a", "b", Whiteout("gone"))
    assert first.node is second.node
    assert isinstance(first.node, File)
    assert read_content(first.node.content, 100) == b"linked"


@pytest.mark.parametrize("read", [read_tree, read_layer])
@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (header(b"l", kind=b"1", link=b"later") + member(b"later"), "no such file"),
        (header(b"d", kind=b"5") + header(b"l", kind=b"1", link=b"d"), "not permitted"),
        (header(b"l", kind=b"1"), "not permitted"),
        (member(b"f") + member(b"f/g"), "not a directory"),
        (header(b"s", kind=b"2"), "no such file"),
        (pax({b"linkpath": b"x" * 4096}) + header(b"s", kind=b"2"), "too long"),
        (pax({b"path": b"x" * 256}) + member(), "too long"),
        (pax({b"path": b"x/" * 2049}) + member(), "too long"),
        (pax({b"path": b"x" * 900_000}) + member(), "too long"),
        (header(kind=b"V"), "unhandled tar header type 86"),
        (b"no tar" * 100, "invalid tar header"),
        (member(b"f", b"x" * 1000)[:800], "unexpected EOF"),
    ],
)
def test_refuses_what_has_no_place(
    data: bytes, problem: str, read: Callable[[Stream, Spool], object], spool: Spool
) -> None:
    with pytest.raises(InvalidInput, match=problem), spool:
        read(Stream(data + (b"" if len(data) == 800 else END)), spool)


def test_names_may_have_newlines_and_any_bytes(spool: Spool) -> None:
    tree = tree_of(member(b"a\nb\xff\x01") + END, spool)
    assert list(tree.children) == ["a\nb\udcff\x01"]


def test_a_nul_ends_a_gnu_name(spool: Spool) -> None:
    tree = tree_of(member(b"", b"name\0/../../x", kind=b"L") + member() + END, spool)
    assert list(tree.children) == ["name"]


def test_limits_hold(spool: Spool) -> None:
    data = b"".join(member(b"%d" % n) for n in range(20)) + END
    assert len(tree_of(data, spool, Limits(nodes=20)).children) == 20
    with pytest.raises(InvalidInput, match="more than 19 entries"):
        tree_of(data, Spool(f"{spool.path}2"), Limits(nodes=19))
    with pytest.raises(InvalidInput, match="larger than"):
        tree_of(data, Spool(f"{spool.path}3"), Limits(unpacked=len(data) - 1))


def test_an_empty_layer_has_a_diff_id(spool: Spool) -> None:
    with spool:
        layer, diff_id = read_layer(Stream(END), spool)
    assert layer == Layer(())
    assert diff_id.encoded == hashlib.sha256(END).hexdigest()


def test_what_follows_the_end_is_kept(spool: Spool) -> None:
    data = member() + END + b"x" * 5000
    assert len(layer_of(data, spool)) == 1
    assert Path(spool.path).read_bytes() == data


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (member() + END, True),
        (member(), True),
        (gzip.compress(member() + END), True),
        (END, False),
        (b"", False),
        (b"text", False),
        (gzip.compress(b"text"), False),
        (gzip.compress(gzip.compress(member() + END)), False),
        (gzip.compress(member())[:20], False),
        (padded(b"x") * 3, False),
    ],
)
def test_knows_an_archive(data: bytes, answer: bool) -> None:
    assert is_archive(Stream(data)) is answer
