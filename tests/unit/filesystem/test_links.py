import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import Directory, Fifo, Node, Symlink, resolve
from imagewright.filesystem.links import clean


def _link(target: str) -> Symlink:
    return Symlink(mode=0o777, target=target)


def _directory(**children: Node) -> Directory:
    return Directory(mode=0o755, children=children)


_TREE = _directory(
    d=_directory(f=Fifo(mode=0o600), up=_link(".."), top=_link("/"), out=_link("../../../e"), s=_link("f")),
    e=_directory(),
    absolute=_link("/d"),
    chain=_link("absolute"),
    dangling=_link("no/where"),
    loop=_link("pool"),
    pool=_link("loop"),
    slash=_link("d/"),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""),
        ("/", ""),
        ("d/f", "d/f"),
        ("/d//./f/", "d/f"),
        ("..", ""),
        ("../../d", "d"),
        ("d/..", ""),
        ("absolute/f", "d/f"),
        ("chain", "d"),
        ("slash/s", "d/f"),
        ("d/up/e", "e"),
        ("d/top/e", "e"),
        ("d/out", "e"),
        ("chain/../e", "e"),
        ("dangling", "no/where"),
        ("dangling/x/../y", "no/where/y"),
        ("no/thing", "no/thing"),
        ("d/f/x", "d/f/x"),
        ("d/f/x/y", "d/f/x/y"),
    ],
)
def test_links_are_followed_and_the_root_is_never_left(path: str, expected: str) -> None:
    assert resolve(_TREE, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("chain", "chain"), ("chain/", "chain"), ("chain/.", "d"), ("chain/s", "d/s"), ("loop", "loop")],
)
def test_the_last_link_is_kept_if_asked(path: str, expected: str) -> None:
    assert resolve(_TREE, path, follow_last=False) == expected


def test_links_without_end_are_refused() -> None:
    with pytest.raises(InvalidInput, match="too many links in /loop/x"):
        resolve(_TREE, "/loop/x")


def test_255_links_are_not_too_many() -> None:
    links: dict[str, Node] = {f"l{number}": _link(f"l{number - 1}") for number in range(1, 257)}

    assert resolve(_directory(**links), "l255") == "l0"
    with pytest.raises(InvalidInput, match="too many links"):
        resolve(_directory(**links), "l256")


@pytest.mark.parametrize(
    ("path", "expected"), [("", ""), ("/", ""), ("a/./b//c/", "a/b/c"), ("a/../../b", "b"), ("../..", "")]
)
def test_clean_goes_by_the_text(path: str, expected: str) -> None:
    assert clean(path) == expected
