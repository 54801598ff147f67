"""What holds for any tree and any layer."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import fields, replace

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Change,
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
    arrange,
    copy,
    diff,
    digest_selection,
    find,
    resolve,
    walk,
)
from imagewright.oci import Digest

_NAMES = st.sampled_from(["a", "b", "c", "a-b", "ä", "\udcff", "\uffff"])
_TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", ""]), min_size=1, max_size=4).map("/".join)
_MODES = st.sampled_from([0o644, 0o755, 0o4711])
_IDS = st.sampled_from([0, 5])
_XATTRS: st.SearchStrategy[dict[str, bytes]] = st.sampled_from([{}, {"user.a": b"b"}])


def _content(data: bytes) -> Content:
    return Content(Digest.of(data), len(data), Extent(""))


_CONTENTS = st.sampled_from([b"", b"x"]).map(_content)
_LEAVES: st.SearchStrategy[Node] = st.one_of(
    st.builds(File, mode=_MODES, uid=_IDS, mtime_ns=_IDS, xattrs=_XATTRS, content=_CONTENTS),
    st.builds(Symlink, mode=st.just(0o777), uid=_IDS, target=_TARGETS),
    st.builds(Fifo, mode=_MODES),
    st.builds(Device, mode=_MODES, kind=st.just("block"), major=_IDS, minor=_IDS),
)


@st.composite
def _trees(draw: st.DrawFn) -> Tree:
    """Return a tree with hard links: some leaves are one object from a small pool, others are copies of it."""
    pool = draw(st.lists(_LEAVES, min_size=1, max_size=5))

    def children(depth: int) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for name in draw(st.lists(_NAMES, unique=True, max_size=4)):
            if depth and draw(st.booleans()):
                found[name] = Directory(mode=draw(_MODES), uid=draw(_IDS), children=children(depth - 1))
            else:
                node = draw(st.sampled_from(pool))
                found[name] = node if draw(st.booleans()) else replace(node)
        return found

    return Directory(mode=0o755, children=children(3))


@st.composite
def _layers(draw: st.DrawFn) -> Layer:
    def change() -> Change:
        path = "/".join(draw(st.lists(_NAMES, min_size=1, max_size=3)))
        kind = draw(st.sampled_from(["put", "put", "put", "whiteout", "opaque"]))
        if kind == "put":
            return Put(path, draw(st.one_of(_LEAVES, st.builds(Directory, mode=_MODES))))
        return Whiteout(path) if kind == "whiteout" else Opaque(path)

    return arrange([change() for _ in range(draw(st.integers(0, 8)))])


def _described(tree: Tree, *leave_out: str) -> list[tuple[str, str, list[object], str]]:
    """Return all of a tree that counts; hard links, which `==` does not see, as the first name of each node."""
    first: dict[int, str] = {}
    return [
        (
            path,
            type(node).__name__,
            [getattr(node, field.name) for field in fields(node) if field.name not in {"children", *leave_out}],
            first.setdefault(id(node), path),
        )
        for path, node in walk(tree)
    ]


@given(_trees(), _trees())
def test_diff_is_what_apply_undoes(lower: Tree, upper: Tree) -> None:
    layer = diff(lower, upper)

    assert _described(apply(lower, layer)) == _described(upper)
    assert arrange(layer.changes) == layer
    assert diff(upper, apply(lower, layer)) == Layer(())


@given(_trees(), _layers())
def test_diff_says_what_a_layer_did(lower: Tree, layer: Layer) -> None:
    before = _described(lower)
    upper = apply(lower, layer)

    assert _described(apply(lower, diff(lower, upper))) == _described(upper)
    assert _described(lower) == before


@given(_trees())
def test_a_tree_does_not_differ_from_itself(tree: Tree) -> None:
    assert diff(tree, tree) == Layer(())
    assert diff(tree, apply(EMPTY, diff(EMPTY, tree))) == Layer(())


@given(_trees(), _trees())
def test_every_change_of_a_diff_follows_a_put_of_its_parent(lower: Tree, upper: Tree) -> None:
    put = {""}
    for change in diff(lower, upper).changes:
        assert change.path.rpartition("/")[0] in put
        if isinstance(change, Put):
            put.add(change.path)


@given(_layers(), st.randoms(use_true_random=False))
def test_arrange_does_not_depend_on_the_order_given(layer: Layer, rng: random.Random) -> None:
    shuffled = list(layer.changes)
    rng.shuffle(shuffled)

    assert arrange(shuffled) == layer


@given(_trees(), _layers())
def test_a_layer_applied_twice_changes_nothing_more(lower: Tree, layer: Layer) -> None:
    once = apply(lower, layer)

    assert apply(once, layer) == once


@given(_trees(), _TARGETS, st.booleans())
def test_resolve_stays_inside_and_is_done(tree: Tree, path: str, follow_last: bool) -> None:
    try:
        real = resolve(tree, path, follow_last=follow_last)
    except InvalidInput:
        return  # links without end

    names = real.split("/") if real else []
    assert not {"..", ".", ""}.intersection(names)
    for count in range(1, len(names) + follow_last):
        assert not isinstance(find(tree, "/".join(names[:count])), Symlink)
    assert resolve(tree, real, follow_last=follow_last) == real


@given(_trees(), _trees(), st.sampled_from(["/", "/a", "/a/", "/b/c/a", "a-b"]))
@settings(max_examples=200)
def test_a_copied_directory_is_in_its_target(source: Tree, destination: Tree, target: str) -> None:
    request = CopyRequest(sources=["."], target=target, context=False, now_ns=7)
    try:
        layer = copy(request, source, destination)
    except InvalidInput:
        return

    where = find(apply(destination, layer), resolve(destination, target))
    assert isinstance(where, Directory)
    for path, node in walk(source):
        there = find(where, path)
        assert there is not None
        if isinstance(node, Directory):
            assert (there.mode, there.uid) == (node.mode, node.uid)
        else:
            assert there == node
            assert there is not node
    assert arrange(layer.changes) == layer


@given(_trees(), _trees())
def test_a_copy_into_nothing_has_the_links_and_the_digest_of_its_source(source: Tree, other: Tree) -> None:
    result = apply(EMPTY, copy(CopyRequest(sources=["."], target="/", context=False), source, EMPTY))

    assert _described(result) == _described(source)
    of_source, of_result, of_other = (digest_selection([Selected("", "", tree)]) for tree in (source, result, other))
    assert of_source == of_result
    assert (of_source == of_other) == (_described(source, "mtime_ns") == _described(other, "mtime_ns"))
