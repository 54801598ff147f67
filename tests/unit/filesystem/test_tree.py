from imagewright.filesystem import EMPTY, Directory, Fifo, Symlink, Tree, find, walk
from imagewright.filesystem.tree import in_order


def _tree() -> Tree:
    inner = Directory(mode=0o755, children={"b": Fifo(mode=0o600)})
    return Directory(mode=0o755, children={"a-b": Fifo(mode=0o600), "a": inner, "l": Symlink(mode=0o777, target="a")})


def test_find_gives_the_node_at_a_path() -> None:
    tree = _tree()

    assert find(tree, "") is tree
    assert isinstance(find(tree, "a/b"), Fifo)


def test_find_gives_none_for_what_is_not_there() -> None:
    tree = _tree()

    assert find(tree, "x") is None
    assert find(tree, "a/b/c") is None
    assert find(tree, "l/b") is None


def test_walk_yields_a_directory_with_all_in_it_before_its_sibling() -> None:
    assert [path for path, _ in walk(_tree())] == ["a", "a/b", "a-b", "l"]
    assert [path for path, _ in walk(_tree(), "x/y")][:2] == ["x/y/a", "x/y/a/b"]
    assert list(walk(EMPTY)) == []


def test_names_are_sorted_as_bytes() -> None:
    names = [b"\xff", "\uffff".encode(), "\U0001f433".encode(), b"\x80", b"a", "ä".encode()]
    decoded = [name.decode("utf-8", "surrogateescape") for name in names]

    assert in_order(decoded) == [name.decode("utf-8", "surrogateescape") for name in sorted(names)]
    assert in_order(["b", "a", "B"]) == ["B", "a", "b"]
