import dataclasses

import pytest
from msgspec.structs import replace

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    Content,
    Device,
    Directory,
    Extent,
    Fifo,
    File,
    Layer,
    Node,
    Selected,
    Symlink,
    digest_selection,
    select,
)
from imagewright.oci import Digest


def _file(data: bytes = b"", *, mode: int = 0o644, uid: int = 0, gid: int = 0, mtime_ns: int = 0) -> File:
    content = Content(Digest.of(data), len(data), Extent("somewhere"))
    return File(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, content=content)


def _directory(mode: int = 0o755, /, **children: Node) -> Directory:
    return Directory(mode=mode, children=children)


_TREE = _directory(
    d=_directory(f=_file(b"f"), g=_file(b"g")),
    l=Symlink(mode=0o777, target="/d/f"),
    loop=Symlink(mode=0o777, target="loop"),
    broken=Symlink(mode=0o777, target="nope"),
)


def test_a_name_selects_its_node() -> None:
    (one,) = select(["d/f"], _TREE)

    assert (one.path, one.name) == ("d/f", "f")
    assert one.node is _TREE.children["d"].children["f"]  # type: ignore[union-attr]


def test_a_link_is_followed_and_keeps_its_name() -> None:
    (one,) = select(["/l"], _TREE)

    assert (one.path, one.name) == ("d/f", "l")


@pytest.mark.parametrize("text", [".", "/", "", "d/.."])
def test_the_root_may_be_selected(text: str) -> None:
    assert select([text], _TREE) == [Selected("", "", _TREE)]


def test_wildcards_select_in_order() -> None:
    assert [one.path for one in select(["d/*", "./[d]"], _TREE)] == ["d/f", "d/g", "d"]


def test_wildcards_that_match_nothing_are_no_error_beside_others() -> None:
    assert [one.path for one in select(["*.nope", "d"], _TREE)] == ["d"]


_NOT_FOUND = "file not found in build context or excluded by .dockerignore"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/nope", f"ADD failed: {_NOT_FOUND}: stat nope: file does not exist"),
        ("broken", f"ADD failed: {_NOT_FOUND}: stat broken: file does not exist"),
        ("d/f/x", f"ADD failed: {_NOT_FOUND}: stat d/f/x: file does not exist"),
        ("loop", "ADD failed: forbidden path outside the build context: loop ()"),
        ("../d", "ADD failed: forbidden path outside the build context: ../d ()"),
        ("d/../../d", "ADD failed: forbidden path outside the build context: d/../../d ()"),
        ("x*", "ADD failed: no source files were specified"),
        ("x[", "syntax error in pattern"),
    ],
)
def test_what_cannot_be_selected(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        select([text], _TREE, instruction="ADD")

    assert str(caught.value) == message


def test_another_source_than_the_context_has_its_own_text() -> None:
    with pytest.raises(InvalidInput, match=r"^COPY failed: stat nope: file does not exist$"):
        select(["nope"], _TREE, context=False)


def _of(tree: Directory, *, owners: bool = True) -> Digest:
    return digest_selection([Selected("", "", tree)], owners=owners)


_NODE = _file(b"x", mode=0o640, uid=1, gid=2)
_DEVICE = Device(mode=0o600, kind="block", major=1, minor=2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_directory(a=_NODE), _directory(b=_NODE)),
        (_directory(a=_NODE), _directory(a=replace(_NODE, mode=0o644))),
        (_directory(a=_NODE), _directory(a=replace(_NODE, uid=3))),
        (_directory(a=_NODE), _directory(a=replace(_NODE, gid=3))),
        (_directory(a=_NODE), _directory(a=replace(_NODE, xattrs={"user.a": b"b"}))),
        (_directory(a=replace(_NODE, xattrs={"a": b"b"})), _directory(a=replace(_NODE, xattrs={"ab": b""}))),
        (_directory(a=_NODE), _directory(a=_file(b"y", mode=0o640, uid=1, gid=2))),
        (_directory(a=_NODE), _directory(a=Fifo(mode=0o640, uid=1, gid=2))),
        (_directory(a=_NODE), _directory(a=_directory(b=_NODE))),
        (_directory(a=_directory(b=_NODE)), _directory(a=_directory(0o700, b=_NODE))),
        (_directory(a=_directory(b=_NODE), c=_directory()), _directory(a=_directory(), c=_directory(b=_NODE))),
        (_directory(a=_DEVICE), _directory(a=replace(_DEVICE, minor=3))),
        (_directory(a=_DEVICE), _directory(a=replace(_DEVICE, kind="character"))),
        (_directory(a=Symlink(mode=0, target="x")), _directory(a=Symlink(mode=0, target="y"))),
        (_directory(a=_NODE, b=_NODE), _directory(a=_NODE, b=replace(_NODE))),
        (_directory(a=_NODE, b=_NODE, c=_NODE), _directory(a=_NODE, b=replace(_NODE), c=_NODE)),
    ],
)
def test_digests_differ(one: Directory, other: Directory) -> None:
    assert _of(one) != _of(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (_directory(a=_NODE), _directory(0o700, a=replace(_NODE, mtime_ns=5))),
        (_directory(a=Symlink(mode=0o777, target="x")), _directory(a=Symlink(mode=0o644, target="x"))),
        (_directory(a=_NODE, b=Fifo(mode=0)), Directory(mode=0o755, children={"b": Fifo(mode=0), "a": _NODE})),
        (
            _directory(a=replace(_NODE, xattrs={"a": b"1", "b": b"2"})),
            _directory(a=replace(_NODE, xattrs={"b": b"2", "a": b"1"})),
        ),
    ],
)
def test_digests_do_not_differ(one: Directory, other: Directory) -> None:
    assert _of(one) == _of(other)


def test_owners_may_be_left_out_of_a_digest() -> None:
    one, other = _directory(a=_NODE), _directory(a=replace(_NODE, uid=3, gid=4))

    assert _of(one, owners=False) == _of(other, owners=False)
    assert _of(one, owners=False) != _of(one)


def test_what_is_selected_counts_in_its_order_and_by_its_name() -> None:
    one, other = Selected("d/f", "f", _NODE), Selected("e/g", "g", _NODE)

    assert digest_selection([one, other]) != digest_selection([other, one])
    assert digest_selection([one]) != digest_selection([dataclasses.replace(one, name="x")])
    assert digest_selection([one]) == digest_selection([dataclasses.replace(one, path="x")])
    assert digest_selection([one]) != digest_selection([dataclasses.replace(one, archive=Layer(()))])
    assert digest_selection([one, one]) == digest_selection([one, dataclasses.replace(one, node=replace(_NODE))])
