"""`--parents` and `--exclude`: what `select` makes of them."""

from typing import Any

import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import (
    EMPTY,
    Content,
    CopyRequest,
    Directory,
    Extent,
    File,
    ModeChange,
    Node,
    Put,
    Selected,
    Symlink,
    Tree,
    apply,
    copy,
    digest_selection,
    find,
    select,
    walk,
)
from imagewright.oci import Digest


def _file(data: str) -> File:
    content = Content(Digest.of(data.encode()), len(data), Extent("somewhere"))
    return File(mode=0o644, content=content)


def _tree(*names: str, data: str = "") -> Tree:
    """Return a tree with files of these names (directories where they end with a slash)."""
    root: dict[str, Any] = {}
    for name in names:
        *parents, last = name.removesuffix("/").split("/")
        here = root
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = {} if name.endswith("/") else _file(data or name)
    return _directory(root)


def _directory(children: dict[str, Any]) -> Directory:
    made: dict[str, Node] = {
        name: _directory(child) if isinstance(child, dict) else child for name, child in children.items()
    }
    return Directory(mode=0o750, uid=1, children=made)


def _copied(tree: Tree, *sources: str, target: str = "/d/", **options: Any) -> list[str]:
    """Return the paths of all that is no directory, and of empty directories, below the target of a copy."""
    after = apply(EMPTY, copy(CopyRequest(sources=sources, target=target, **options), tree, EMPTY))
    return [
        path.removeprefix("d/")
        for path, node in walk(after)
        if path.startswith("d/") and not (isinstance(node, Directory) and node.children)
    ]


_REFERENCE = _tree(
    "x/a.txt", "x/y/a.txt", "x/y/b.txt", "y/a.txt", "src/a.txt", "src/x/b.txt", "src/x/y/c.txt", "src/z.md"
)
_ICONS = _tree(
    *("assets/app1/icons32x32", "assets/app1/icons64x64", "assets/app1/notes", "assets/app1/backup"),
    *("assets/app2/icons32x32", "assets/testapp/icons32x32"),
)
_HOME = _tree("home.txt", "home.md", "hom/a.txt", "hom/b.md", "other.txt", "sub/hom.txt", "sub/hom.md")


@pytest.mark.parametrize(
    ("tree", "sources", "exclude", "copied"),
    [
        # the examples of the reference and of BuildKit's announcement
        (_REFERENCE, ["./x/a.txt", "./y/a.txt"], [], ["x/a.txt", "y/a.txt"]),
        (_REFERENCE, ["./x/./y/*.txt"], [], ["y/a.txt", "y/b.txt"]),
        (_REFERENCE, ["./src/**/*.txt"], [], ["src/a.txt", "src/x/b.txt", "src/x/y/c.txt"]),
        (_ICONS, ["assets/./**/icons*"], ["testapp"], ["app1/icons32x32", "app1/icons64x64", "app2/icons32x32"]),
        # and what follows from them
        (_REFERENCE, ["x"], [], ["x/a.txt", "x/y/a.txt", "x/y/b.txt"]),
        (_REFERENCE, ["/x/y/"], [], ["x/y/a.txt", "x/y/b.txt"]),
        (_REFERENCE, ["x/./y"], [], ["y/a.txt", "y/b.txt"]),
        (_REFERENCE, ["x/y/./"], [], ["a.txt", "b.txt"]),
        (_REFERENCE, ["./x/y/./a.txt"], [], ["a.txt"]),
        (_REFERENCE, ["*/a.txt"], [], ["src/a.txt", "x/a.txt", "y/a.txt"]),
        (_REFERENCE, ["x/././y/a.txt"], [], ["y/a.txt"]),
        (_REFERENCE, ["[xy]/./a.txt"], [], ["a.txt"]),
        (_REFERENCE, ["nope*", "y"], [], ["y/a.txt"]),
        (_REFERENCE, ["src"], ["**/*.txt"], ["src/x/y", "src/z.md"]),  # what is left empty stays
        (_REFERENCE, ["src"], ["src/x"], ["src/a.txt", "src/z.md"]),
        (_REFERENCE, ["src/./"], ["x"], ["a.txt", "z.md"]),
        (_REFERENCE, ["x/a.txt"], ["*", "!src/z.md"], []),
        (_tree("!a", "b/!c"), ["!a"], [], ["!a"]),
        (_tree("e/f/"), ["e/f"], [], ["e/f"]),
    ],
)
def test_parents(tree: Tree, sources: list[str], exclude: list[str], copied: list[str]) -> None:
    assert _copied(tree, *sources, parents=True, exclude=exclude) == copied


def test_parents_of_everything_is_a_plain_copy() -> None:
    everything = [path for path, node in walk(_REFERENCE) if not isinstance(node, Directory)]
    assert _copied(_REFERENCE, ".", parents=True) == _copied(_REFERENCE, "/", parents=True) == everything


def test_parents_are_like_those_of_the_source() -> None:
    layer = copy(CopyRequest(sources=["x/y/a.txt"], target="/d", parents=True, context=False), _REFERENCE, EMPTY)
    put = {change.path: change.node for change in layer.changes if isinstance(change, Put)}
    assert list(put) == ["d", "d/x", "d/x/y", "d/x/y/a.txt"]
    assert (put["d"].mode, put["d/x"].mode, put["d/x/y"].uid) == (0o755, 0o750, 1)


def test_links_on_the_way_to_the_pivot_are_followed_and_others_are_not() -> None:
    tree = Directory(mode=0o755, children={**_REFERENCE.children, "l": Symlink(mode=0o777, target="x")})
    assert _copied(tree, "l/./y", parents=True) == ["y/a.txt", "y/b.txt"]
    assert _copied(tree, "l", parents=True) == ["l"]
    with pytest.raises(InvalidInput, match="stat l/y: file does not exist"):
        select(["l/y"], tree, parents=True)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nope", "stat nope: file does not exist"),
        ("x/./nope", r"stat x/\./nope: file does not exist"),
        ("nope/./x", "stat nope: file does not exist"),
        ("x/a.txt/./b", r"stat x/a\.txt/\./b: file does not exist"),
        ("nope*", "no source files were specified"),
        ("**/nope", "no source files were specified"),
        ("../x", r"forbidden path outside the build context: \.\./x"),
        ("x/./../../y", "forbidden path outside the build context"),
        ("x[", "syntax error in pattern"),
    ],
)
def test_parents_of_what_is_not_there(source: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        select([source], _REFERENCE, parents=True)


@pytest.mark.parametrize(
    ("sources", "exclude", "copied"),
    [
        # the example of the reference; the directory that matches gives its contents
        (["hom*"], ["*.txt"], ["b.md", "home.md"]),
        (["."], ["*.txt"], ["hom/a.txt", "hom/b.md", "home.md", "sub/hom.md", "sub/hom.txt"]),
        (["."], ["**/*.txt"], ["hom/b.md", "home.md", "sub/hom.md"]),
        (["."], ["hom", "sub"], ["home.md", "home.txt", "other.txt"]),
        (["."], ["**/*.txt", "!**/hom.txt"], ["hom/b.md", "home.md", "sub/hom.md", "sub/hom.txt"]),
        (["hom", "sub"], ["a.txt", "hom.md"], ["b.md", "hom.txt"]),
        (["hom"], ["hom"], ["a.txt", "b.md"]),
        (["home.txt", "home.md"], ["*.txt"], ["home.md"]),
        (["sub/hom.txt", "home.md"], ["hom.txt"], ["home.md"]),
        (["sub/hom.*"], ["*.md"], ["hom.txt"]),
        (["*/hom.*"], ["*.md"], ["hom.md", "hom.txt"]),
        (["*/hom.*"], ["**/*.md"], ["hom.txt"]),
        (["*"], ["hom", "sub"], ["home.md", "home.txt", "other.txt"]),
        (["home.txt"], ["home.txt"], []),
        (["hom*"], ["**"], []),
        (["."], ["/home.txt", " other.txt ", "hom/", "sub"], ["home.md"]),
        (["."], [""], ["hom/a.txt", "hom/b.md", "home.md", "home.txt", "other.txt", "sub/hom.md", "sub/hom.txt"]),
    ],
)
def test_exclude(sources: list[str], exclude: list[str], copied: list[str]) -> None:
    assert _copied(_HOME, *sources, exclude=exclude) == copied


def test_exclude_knows_no_comments() -> None:
    assert _copied(_tree("#a", "b"), ".", exclude=["#a"]) == ["b"]


@pytest.mark.parametrize(
    ("sources", "exclude", "message"),
    [
        (["nope"], ["nope"], "stat nope: file does not exist"),
        (["nope*"], ["x"], "no source files were specified"),
        (["hom"], ["a["], "syntax error in pattern"),
        (["hom"], ["!"], "illegal exclusion pattern"),
    ],
)
def test_exclude_forgives_nothing_else(sources: list[str], exclude: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        select(sources, _HOME, exclude=exclude)


def test_without_filters_nodes_are_the_same_objects() -> None:
    (one,) = select(["hom"], _HOME)
    assert one.node is find(_HOME, "hom")
    (one,) = select(["hom"], _HOME, exclude=["nope"])
    assert one.node is find(_HOME, "hom")


def test_hard_links_stay() -> None:
    both = _file("both")
    tree = Directory(mode=0o755, children={"a": both, "b": both, "c": _file("c")})
    (one,) = select(["."], tree, exclude=["c"])
    assert isinstance(one.node, Directory)
    assert one.node.children == {"a": both, "b": both}
    assert one.node.children["a"] is one.node.children["b"]


def _digest(tree: Tree, *sources: str, **options: Any) -> Digest:
    return digest_selection(select(sources, tree, **options))


@pytest.mark.parametrize(
    ("sources", "options", "matters", "does_not"),
    [
        (["."], {"exclude": ["*.txt"]}, "home.md", "home.txt"),
        (["hom*"], {"exclude": ["*.txt"]}, "home.md", "home.txt"),
        (["**/hom*.md"], {"parents": True}, "sub/hom.md", "sub/hom.txt"),
        (["**/*.md"], {"parents": True, "exclude": ["sub"]}, "hom/b.md", "sub/hom.md"),
    ],
)
def test_the_digest_covers_what_is_copied_and_nothing_else(
    sources: list[str], options: dict[str, Any], matters: str, does_not: str
) -> None:
    names = [path for path, node in walk(_HOME) if isinstance(node, File)]
    before = _digest(_HOME, *sources, **options)

    def changed(name: str) -> Digest:
        return _digest(_with(_tree(*names), name, "changed"), *sources, **options)

    assert changed(does_not) == before
    assert changed(matters) != before
    assert _digest(_tree(*(name for name in names if name != does_not)), *sources, **options) == before
    assert _digest(_tree(*(name for name in names if name != matters)), *sources, **options) != before


def test_the_digest_covers_kept_parents() -> None:
    assert _digest(_REFERENCE, "x/y/a.txt", parents=True) != _digest(_REFERENCE, "x/./y/a.txt", parents=True)
    public = Directory(mode=0o777, children=_REFERENCE.children["x"].children)  # type: ignore[union-attr]
    tree = Directory(mode=0o755, children={"x": public})
    assert _digest(tree, "x/a.txt", parents=True) != _digest(_REFERENCE, "x/a.txt", parents=True)


def _with(tree: Directory, path: str, data: str) -> Directory:
    name, _, rest = path.partition("/")
    child = tree.children[name]
    replaced = _with(child, rest, data) if isinstance(child, Directory) else _file(data)
    return Directory(mode=tree.mode, uid=tree.uid, children={**tree.children, name: replaced})


def test_a_symbolic_mode_goes_by_what_it_is_applied_to() -> None:
    tree = _tree("d/f", "d/e/g")
    request = CopyRequest(sources=["."], target="/t/", mode=ModeChange("u=rwX,go=rX"))
    after = apply(EMPTY, copy(request, tree, EMPTY))
    modes = {path: node.mode for path, node in walk(after)}
    assert modes == {"t": 0o755, "t/d": 0o755, "t/d/e": 0o755, "t/d/e/g": 0o644, "t/d/f": 0o644}


def test_selected_with_parents_is_one_directory_without_a_name() -> None:
    (one,) = select(["x/./y/a.txt"], _REFERENCE, parents=True)
    assert (one.path, one.name) == ("x", "")
    assert one == Selected("x", "", one.node)
    assert isinstance(one.node, Directory)
    assert list(one.node.children) == ["y"]
