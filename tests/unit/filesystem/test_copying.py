from collections.abc import Sequence
from dataclasses import replace

import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Content,
    CopyRequest,
    Device,
    Directory,
    Extent,
    Fifo,
    File,
    Layer,
    Node,
    Opaque,
    Put,
    Selected,
    Symlink,
    Tree,
    Whiteout,
    apply,
    copy,
    find,
    place,
    walk,
    workdir_layer,
)
from imagewright.oci import Digest

_NOW = 1_600_000_000_000_000_000
_SEVERAL = "When using COPY with more than one source file, the destination must be a directory and end with a /"
_NOT_FOUND = "file not found in build context or excluded by .dockerignore"


def _file(data: bytes = b"", mode: int = 0o644, uid: int = 0, gid: int = 0, mtime_ns: int = 5) -> File:
    content = Content(Digest.of(data), len(data), Extent("somewhere"))
    return File(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, content=content, xattrs={"user.a": b"b"})


def _directory(mode: int = 0o755, uid: int = 0, gid: int = 0, mtime_ns: int = 0, /, **children: Node) -> Directory:
    return Directory(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, children=children)


def _link(target: str) -> Symlink:
    return Symlink(mode=0o777, target=target)


_SOURCE = _directory(
    f=_file(b"f", 0o4750, 1, 2),
    d=_directory(0o700, 1, 2, 7, g=_file(b"g"), s=_directory(0o2711, 3, 4, 8, h=_file(b"h"))),
    x=_directory(
        fifo=Fifo(mode=0o600, uid=1),
        device=Device(mode=0o660, uid=1, kind="block", major=8, minor=1),
        link=Symlink(mode=0o644, uid=1, target="away"),
    ),
)
_BASE = _directory(
    etc=_directory(0o711, 7, 8, 9, passwd=_file(b"p")),
    real=_directory(0o750),
    link=_link("/real"),
    file=_file(b"file"),
    loop=_link("loop"),
)


def _request(target: str, *sources: str, **more: int | str | bool | None) -> CopyRequest:
    request = CopyRequest(sources=sources, target=target, now_ns=_NOW)
    return replace(request, **more)  # type: ignore[arg-type]


def _copied(target: str, *sources: str, onto: Tree = _BASE, **more: int | str | bool | None) -> Tree:
    return apply(onto, copy(_request(target, *sources, **more), _SOURCE, onto))


def test_a_layer_holds_the_copy_and_the_directories_above_it_as_they_are() -> None:
    layer = copy(_request("/etc/n", "f"), _SOURCE, _BASE)

    assert layer.changes == (Put("etc", _directory(0o711, 7, 8, 9)), Put("etc/n", _file(b"f", 0o4750)))


def test_the_context_loses_its_owners_and_another_image_does_not() -> None:
    assert find(_copied("/n", "f"), "n") == _file(b"f", 0o4750)
    assert find(_copied("/n", "f", context=False), "n") == _file(b"f", 0o4750, 1, 2)


def test_owner_and_mode_are_those_asked_for() -> None:
    tree = _copied("/m/n", "d", uid=5, gid=6, mode=0o640)

    inner = _directory(0o640, 5, 6, 8, h=_file(b"h", 0o640, 5, 6))
    made = _directory(0o755, 5, 6, _NOW, g=_file(b"g", 0o640, 5, 6), s=inner)
    assert find(tree, "m") == _directory(0o755, 5, 6, _NOW, n=made)


def test_what_is_there_keeps_its_metadata() -> None:
    tree = _copied("/real", "d", uid=5, gid=6)

    assert find(tree, "real") == _directory(
        0o750, g=_file(b"g", 0o644, 5, 6), s=_directory(0o2711, 5, 6, 8, h=_file(b"h", 0o644, 5, 6))
    )


def test_every_kind_of_node_is_copied() -> None:
    expected = _directory(
        0o755,
        1,
        0,
        _NOW,
        fifo=Fifo(mode=0o600, uid=1),
        device=Device(mode=0o660, uid=1, kind="block", major=8, minor=1),
        link=Symlink(mode=0o777, uid=1, target="away"),
    )

    assert find(_copied("/n", "x", uid=1, gid=0), "n") == expected


@pytest.mark.parametrize(
    ("target", "workdir", "path"),
    [
        ("/n", "/", "n"),
        ("/n/", "/", "n/f"),
        ("/n/.", "/", "n"),
        ("n", "/etc", "etc/n"),
        (".", "/etc", "etc/f"),
        ("./", "/etc", "etc/f"),
        ("..", "/etc/", "f"),
        ("../../../n", "/etc", "n"),
        ("", "/etc", "etc/f"),
        ("/", "/etc", "f"),
        ("/link", "/", "real/f"),
        ("/link/n", "/", "real/n"),
        ("/link/../n", "/", "n"),
        ("/real", "/", "real/f"),
        ("/file", "/", "file"),
        ("/a/b/c", "/", "a/b/c"),
    ],
)
def test_where_a_file_goes(target: str, workdir: str, path: str) -> None:
    tree = _copied(target, "f", workdir=workdir)

    assert find(tree, path) == _file(b"f", 0o4750)


def test_several_sources_may_go_to_a_dot() -> None:
    tree = _copied(".", "f", "d/g", onto=EMPTY, workdir="/new")

    assert [path for path, _ in walk(tree)] == ["new", "new/f", "new/g"]


def test_the_later_of_two_files_wins() -> None:
    assert find(_copied("/n/", "f", "d", "d/s/h", onto=EMPTY), "n/g") == _file(b"g")


def test_copies_are_new_nodes() -> None:
    node = _file(b"f", 0o644)
    source = _directory(f=node)

    first = apply(_BASE, copy(_request("/a", "f"), source, _BASE))
    second = apply(first, copy(_request("/b", "f"), source, first))

    assert find(second, "a") is not find(second, "b")
    assert find(second, "a") is not node


def test_hard_links_stay_within_a_source_only() -> None:
    node = _file(b"f")
    source = _directory(a=_directory(x=node, y=_directory(z=node)), b=node)

    tree = apply(EMPTY, copy(_request("/n/", "a", "b"), source, EMPTY))

    assert find(tree, "n/x") is find(tree, "n/y/z")
    assert find(tree, "n/x") is not find(tree, "n/b")


@pytest.mark.parametrize(
    ("target", "sources", "message"),
    [
        ("/n", ("f", "d"), _SEVERAL),
        ("/file/", ("f",), "failed to copy files: /file: not a directory"),
        ("/file/n", ("f",), "failed to copy files: /file: not a directory"),
        ("/file", ("d",), "failed to copy files: /file: not a directory"),
        ("/loop", ("f",), "failed to copy files: too many links in /loop"),
        ("/n", ("nope",), f"COPY failed: {_NOT_FOUND}: stat nope: file does not exist"),
    ],
)
def test_what_cannot_be_copied(target: str, sources: Sequence[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _copied(target, *sources)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("onto", "source", "message"),
    [
        (_directory(a=_file()), _directory(a=_directory()), "cannot copy to non-directory: /a"),
        (_directory(a=_link("b")), _directory(a=_directory()), "cannot copy to non-directory: /a"),
        (
            _directory(a=_directory(b=_file())),
            _directory(a=_directory(b=_directory())),
            "cannot copy to non-directory: /a/b",
        ),
        (_directory(a=_directory()), _directory(a=_file()), "cannot replace to directory /a with file"),
        (
            _directory(a=_directory(b=_directory())),
            _directory(a=_directory(b=_link("x"))),
            "cannot replace to directory /a/b with file",
        ),
    ],
)
def test_directories_and_other_things_do_not_replace_each_other(onto: Tree, source: Tree, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        copy(_request("/", "."), source, onto)

    assert str(caught.value) == f"failed to copy files: {message}"


def test_nor_do_they_within_one_copy() -> None:
    with pytest.raises(InvalidInput, match="cannot replace to directory /n/s with file"):
        place(_request("/n/"), [Selected("d", "d", _SOURCE.children["d"]), Selected("s", "s", _file())], EMPTY)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_file_from_elsewhere_needs_a_name(name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot call a file"):
        place(_request("/n/"), [Selected(name, name, _file())], EMPTY)


@pytest.mark.parametrize("node", [_file(), _directory()])
def test_names_that_a_layer_would_take_for_removals_are_refused(node: Node) -> None:
    source = Directory(mode=0o755, children={".wh.x": node})

    with pytest.raises(InvalidInput, match=r"an image cannot hold a name that begins with \.wh\."):
        copy(_request("/n", "."), source, EMPTY)


def _added(*members: Put, target: str = "/", onto: Tree = _BASE, **more: int) -> Tree:
    selected = [Selected("a.tar", "a.tar", _file(), Layer(members))]
    return apply(onto, place(_request(target, **more), selected, onto))


def test_an_archive_keeps_what_its_members_have() -> None:
    members = (Put("d", _directory(0o700, 1, 2, 3)), Put("d/f", _file(b"x", 0o4711, 4, 5)))

    tree = _added(*members, target="/n/", uid=9, gid=9, mode=0o600)

    expected = _directory(0o700, 1, 2, 3, f=_file(b"x", 0o4711, 4, 5))
    assert find(tree, "n") == _directory(0o755, 9, 9, _NOW, d=expected)


def test_an_archives_missing_parents_stay_as_they_are_or_are_made() -> None:
    node = _file(b"x")

    tree = _added(Put("etc/x", node), Put("link/x", node), Put("new/x", node), Put("file/x", node), uid=9)

    assert find(tree, "etc") == _directory(0o711, 7, 8, 9, passwd=_file(b"p"), x=node)
    assert find(tree, "link") == _link("/real")
    assert find(tree, "real") == _directory(0o750, x=node)
    assert find(tree, "new") == find(tree, "file") == _directory(0o755, 0, 0, _NOW, x=node)


def test_an_archive_replaces_what_is_in_the_way_of_its_members() -> None:
    node = _file(b"x")

    tree = _added(Put("etc", node), Put("link", _directory(0o700)), Put("link/y", node))

    assert find(tree, "etc") == node
    assert find(tree, "link") == _directory(0o700, y=node)
    assert find(tree, "real") == _directory(0o750)


def test_an_archives_links_lead_nowhere_outside_its_target() -> None:
    onto = _directory(opt=_directory(up=_link("../../etc"), root=_link("/real")), etc=_directory(), real=_directory())

    tree = _added(Put("root/x", _file()), Put("up/x", _file()), target="/opt", onto=onto)

    assert find(tree, "opt/etc/x") == find(tree, "opt/real/x") == _file()
    assert find(tree, "etc") == find(tree, "real") == _directory()


def test_an_archives_own_links_are_followed_and_its_hard_links_stay() -> None:
    node = _file()

    tree = _added(Put("a", _link("b")), Put("a/x", node), Put("b", _directory()), Put("b/y", node))

    assert find(tree, "b/x") is find(tree, "b/y")
    assert find(tree, "b/y") is not node


def test_an_archives_own_links_may_replace_a_directory_that_it_is_in() -> None:
    tree = _added(Put("p/l", _link("..")), Put("p/l/p", _file(b"x")), Put("p/m", _file(b"m")), onto=EMPTY)

    assert find(tree, "p") == _directory(0o755, 0, 0, _NOW, m=_file(b"m"))


def test_an_archives_root_is_not_its_targets() -> None:
    assert find(_added(Put("", _directory(0o700)), Put("x", _file()), target="/real"), "real") == _directory(
        0o750, x=_file()
    )


@pytest.mark.parametrize("change", [Whiteout("x"), Opaque("x"), Put(".wh.x", _file())])
def test_an_archive_with_removals_is_refused(change: Whiteout | Opaque | Put) -> None:
    selected = [Selected("a.tar", "a.tar", _file(), Layer((change,)))]

    with pytest.raises(InvalidInput, match=r"an image cannot hold a name that begins with \.wh\."):
        place(_request("/"), selected, EMPTY)


def test_an_archive_does_not_go_into_a_file() -> None:
    with pytest.raises(InvalidInput, match="failed to copy files: /file: not a directory"):
        _added(Put("x", _file()), target="/file")


def test_the_result_of_one_source_is_there_for_the_next() -> None:
    selected = [
        Selected("a.tar", "a.tar", _file(), Layer((Put("b/c", _file(b"1")),))),
        Selected("d", "d", _directory(b=_directory(0o700, e=_file(b"2")))),
        Selected("b.tar", "b.tar", _file(), Layer((Put("b", _directory(0o711)), Put("b/c", _file(b"3"))))),
    ]

    tree = apply(EMPTY, place(_request("/n/"), selected, EMPTY))

    assert find(tree, "n/b") == _directory(0o711, c=_file(b"3"), e=_file(b"2"))


@pytest.mark.parametrize(
    ("path", "made"),
    [("/a/b", ["a", "a/b"]), ("/link/a", ["real", "real/a"]), ("/etc/../a", ["a"]), ("/link", []), ("/", [])],
)
def test_a_working_directory_is_made_where_it_is_missing(path: str, made: list[str]) -> None:
    layer = workdir_layer(_BASE, path, 5, 6, _NOW)

    assert [change.path for change in layer.changes] == made
    if made:
        assert layer.changes[-1] == Put(made[-1], _directory(0o755, 5, 6, _NOW))


@pytest.mark.parametrize("path", ["/file", "/file/x"])
def test_a_working_directory_is_not_made_of_a_file(path: str) -> None:
    with pytest.raises(InvalidInput, match=f"^Cannot mkdir: {path} is not a directory$"):
        workdir_layer(_BASE, path, 0, 0, _NOW)
