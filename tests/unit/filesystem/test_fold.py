import pytest

from imagewright.filesystem import (
    EMPTY,
    Change,
    Directory,
    Fifo,
    Layer,
    Node,
    Opaque,
    Put,
    Symlink,
    Tree,
    Whiteout,
    apply,
    find,
    walk,
)

_FIFO = Fifo(mode=0o600)


def _directory(mode: int = 0o755, **children: Node) -> Directory:
    return Directory(mode=mode, children=children)


def _paths(tree: Tree) -> list[str]:
    return [path for path, _ in walk(tree)]


_LOWER = _directory(a=_directory(0o700, x=_FIFO, y=_directory(z=_FIFO)), b=_FIFO, c=_directory(d=_FIFO))


def test_put_adds_and_replaces() -> None:
    node = Fifo(mode=0o644)

    tree = apply(_LOWER, Layer((Put("b", node), Put("c", _directory(0o711)), Put("c/n", node))))

    assert find(tree, "b") is node
    assert find(tree, "c/n") is node
    assert find(tree, "c") == _directory(0o711, d=_FIFO, n=node)


def test_untouched_directories_are_shared_and_the_lower_tree_is_left_alone() -> None:
    before = _paths(_LOWER)

    tree = apply(_LOWER, Layer((Put("c/n", _FIFO),)))

    assert find(tree, "a") is find(_LOWER, "a")
    assert _paths(_LOWER) == before


def test_put_of_a_directory_over_something_else_is_empty() -> None:
    assert find(apply(_LOWER, Layer((Put("b", _directory()),))), "b") == _directory()


def test_put_of_something_else_over_a_directory_takes_all_of_it() -> None:
    assert _paths(apply(_LOWER, Layer((Put("a", _FIFO),)))) == ["a", "b", "c", "c/d"]


def test_put_of_the_root_changes_its_metadata_only() -> None:
    tree = apply(_LOWER, Layer((Put("", _directory(0o711)), Put("e", _FIFO))))

    assert tree.mode == 0o711
    assert _paths(tree) == [*_paths(_LOWER), "e"]


def test_put_of_a_root_that_is_no_directory_does_nothing() -> None:
    assert apply(_LOWER, Layer((Put("", _FIFO),))) == _LOWER


def test_hard_links_stay_one_object() -> None:
    node = Fifo(mode=0o600)

    tree = apply(_LOWER, Layer((Put("a/n", node), Put("m", node))))

    assert find(tree, "a/n") is find(tree, "m")


@pytest.mark.parametrize(
    ("path", "gone"),
    [("a", ["a", "a/x", "a/y", "a/y/z"]), ("a/y/z", ["a/y/z"]), ("b", ["b"]), ("nope", []), ("b/x", []), ("n/x", [])],
)
def test_whiteout_removes_what_is_there(path: str, gone: list[str]) -> None:
    tree = apply(_LOWER, Layer((Whiteout(path),)))

    assert _paths(tree) == [path for path in _paths(_LOWER) if path not in gone]


def test_whiteout_before_put_empties_a_directory() -> None:
    assert _paths(apply(_LOWER, Layer((Whiteout("a"), Put("a", _directory()))))) == ["a", "b", "c", "c/d"]


def test_opaque_hides_only_what_is_below() -> None:
    changes: tuple[Change, ...] = (Put("a", _directory()), Opaque("a"), Put("a/n", _FIFO))

    assert _paths(apply(_LOWER, Layer(changes))) == ["a", "a/n", "b", "c", "c/d"]


def test_opaque_without_its_directory_keeps_the_one_below() -> None:
    tree = apply(_LOWER, Layer((Opaque("a"), Opaque("n"), Put("n/x", _FIFO))))

    assert find(tree, "a") == _directory(0o700)
    assert find(tree, "n") == _directory(x=_FIFO)


def test_opaque_root_hides_everything() -> None:
    assert _paths(apply(_LOWER, Layer((Opaque(""), Put("n", _FIFO))))) == ["n"]


def test_missing_parents_are_made_or_kept() -> None:
    tree = apply(_LOWER, Layer((Put("a/y/n", _FIFO), Put("p/q/r", _FIFO))))

    assert find(tree, "a") == _directory(0o700, x=_FIFO, y=_directory(z=_FIFO, n=_FIFO))
    assert find(tree, "p") == _directory(q=_directory(r=_FIFO))


def test_missing_parents_replace_a_link() -> None:
    lower = _directory(lib=Symlink(mode=0o777, target="usr/lib"))

    assert find(apply(lower, Layer((Put("lib/x", _FIFO),))), "lib") == _directory(x=_FIFO)


def test_order_does_not_matter_for_puts_alone() -> None:
    changes = (Put("a/b/c", _FIFO), Put("d", _FIFO), Put("a/b", _directory(0o700)), Put("a/e", _FIFO))

    assert apply(EMPTY, Layer(changes)) == _directory(a=_directory(b=_directory(0o700, c=_FIFO), e=_FIFO), d=_FIFO)


def test_deep_trees_are_no_problem() -> None:
    path = "/".join(["d"] * 2000)

    assert len(_paths(apply(EMPTY, Layer((Put(path, _FIFO),))))) == 2000
