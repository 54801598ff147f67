import time
from collections.abc import Mapping

import pytest

from imagewright.archive import DEFAULT_LIMITS, Limits
from imagewright.archive import builder as module
from imagewright.archive.builder import Builder, clean_names, quote
from imagewright.errors import InvalidInput
from imagewright.filesystem.layer import Change, Opaque, Put, Whiteout
from imagewright.filesystem.tree import Device, Directory, Fifo, Node, Symlink, Tree, find, walk

ONE = Fifo(mode=0o600, uid=1)
TWO = Fifo(mode=0o600, uid=2)
DIR = Directory(mode=0o700)


def builder(nodes: Mapping[str, Node] | None = None, limits: Limits = DEFAULT_LIMITS) -> Builder:
    built = Builder(limits)
    for path, node in (nodes or {}).items():
        built.put(path, node)
    return built


def to(target: str) -> Symlink:
    return Symlink(mode=0o777, target=target)


def paths(tree: Tree) -> list[str]:
    return [path for path, _ in walk(tree)]


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("", []),
        (".", []),
        ("/", []),
        ("..", []),
        ("../..", []),
        ("a", ["a"]),
        ("./a//b/", ["a", "b"]),
        ("/a/./b", ["a", "b"]),
        ("a/../b", ["b"]),
        ("../../a", ["a"]),
        ("a/../../../b", ["b"]),
        ("...", ["..."]),
    ],
)
def test_names_stay_inside(path: str, names: list[str]) -> None:
    assert clean_names(path) == names
    built = Builder(Limits())
    built.put(path, DIR)
    assert find(built.tree(), "/".join(names)) == DIR


def test_missing_parents_are_made() -> None:
    tree = builder({"a/b/c": ONE}).tree()
    assert tree == Directory(
        mode=0o755,
        children={
            "a": Directory(mode=0o755, children={"b": Directory(mode=0o755, children={"c": ONE})}),
        },
    )


def test_a_later_member_replaces_an_earlier_one() -> None:
    tree = builder({"a": ONE, "./a": TWO}).tree()
    assert tree.children == {"a": TWO}


def test_a_later_directory_keeps_what_is_below() -> None:
    tree = builder({"d/x": ONE, "d": DIR, "d/y": TWO}).tree()
    assert tree.children == {"d": Directory(mode=0o700, children={"x": ONE, "y": TWO})}


def test_what_replaces_a_directory_removes_what_is_below() -> None:
    built = builder({"d/x/y": ONE, "d": TWO})
    assert built.tree().children == {"d": TWO}
    built.put("d", DIR)
    built.put("d/z", ONE)
    assert paths(built.tree()) == ["d", "d/z"]


def test_the_root_is_a_directory() -> None:
    built = builder({"a": ONE, "./": DIR})
    assert built.tree() == Directory(mode=0o700, children={"a": ONE})
    built.put("../", ONE)
    built.link("..", "a")
    assert built.tree() == Directory(mode=0o700, children={"a": ONE})


def test_nothing_lies_below_a_file() -> None:
    built = builder({"a": ONE})
    with pytest.raises(InvalidInput, match=r'^"a/b/c": not a directory$'):
        built.put("a/b/c", TWO)


def test_a_link_in_the_way_is_followed_inside() -> None:
    built = builder({"usr/lib": DIR, "lib": to("usr/lib"), "abs": to("/usr/../../usr/./lib"), "usr/up": to("../..")})
    built.put("lib/one", ONE)
    built.put("abs/two", TWO)
    built.put("usr/up/three", ONE)
    built.put("lib/new/four", ONE)
    assert paths(built.tree()) == [
        "abs",
        "lib",
        "three",
        "usr",
        "usr/lib",
        "usr/lib/new",
        "usr/lib/new/four",
        "usr/lib/one",
        "usr/lib/two",
        "usr/up",
    ]


def test_the_last_name_is_not_followed() -> None:
    tree = builder({"a": to("b"), "b": ONE, "./a": TWO}).tree()
    assert tree.children == {"a": TWO, "b": ONE}


def test_what_a_link_leads_to_is_never_made() -> None:
    built = builder({"a": to("missing"), "b": to("x/y"), "x": ONE})
    with pytest.raises(InvalidInput, match="no such file"):
        built.put("a/f", ONE)
    with pytest.raises(InvalidInput, match="not a directory"):
        built.put("b/f", ONE)
    assert paths(built.tree()) == ["a", "b", "x"]


def test_links_in_circles_are_refused() -> None:
    built = builder({"a": to("b"), "b": to("a")})
    with pytest.raises(InvalidInput, match="too many levels"):
        built.put("a/f", ONE)


def test_links_to_links_take_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STEPS", 100_000)
    built = builder({"d": DIR})
    last = "d"
    for n in range(50):
        built.put(f"l{n}", to("./" * 500 + f"{last}/" + "../d/" * 300))
        last = f"l{n}"
    began = time.perf_counter()
    refused = 0
    for n in range(1000):
        try:
            built.put(f"{last}/x{n}/y", ONE)
        except InvalidInput:
            refused += 1
    assert refused
    assert time.perf_counter() - began < 5


def test_a_replaced_parent_is_not_remembered() -> None:
    built = builder({"l": to("a"), "a/x": ONE, "b/x": ONE, "l/one": ONE})
    built.put("l", to("b"))
    built.put("l/two", TWO)
    assert paths(built.tree()) == ["a", "a/one", "a/x", "b", "b/two", "b/x", "l"]


def test_hard_links_share_their_node() -> None:
    built = builder({"d/a": ONE, "s": to("d"), "l": to("a")})
    built.link("b", "/d/a")
    built.link("c", "s/a")
    built.link("m", "l")
    built.link("d/a", "./d/a")
    tree = built.tree()
    assert find(tree, "b") is find(tree, "c") is find(tree, "d/a") is ONE
    assert find(tree, "m") is find(tree, "l")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("missing", "no such file"),
        ("no/where", "no such file"),
        ("f/x", "not a directory"),
        ("d", "not permitted"),
        ("", "not permitted"),
        ("..", "not permitted"),
        ("new", "no such file"),
    ],
)
def test_hard_links_lead_to_earlier_files(target: str, problem: str) -> None:
    built = builder({"f": ONE, "d": DIR})
    with pytest.raises(InvalidInput, match=problem):
        built.link("new", target)
    assert paths(built.tree()) == ["d", "f"]


def test_hard_links_may_lead_among_others() -> None:
    built = builder()
    built.link("a", "x", among=builder({"x": ONE}))
    assert built.tree().children == {"a": ONE}


def test_a_layer_has_its_changes_in_canonical_order() -> None:
    built = builder({"b.c": ONE, "b/x": TWO, "a/y": ONE, "b": DIR, "\U0001f600": TWO, "\ufffd": ONE})
    built.put("\udcff", ONE)
    built.whiteout("b/gone")
    built.whiteout("b/x")
    built.whiteout("b/x")
    built.opaque("b")
    built.opaque("")
    built.put("", DIR)
    expected: tuple[Change, ...] = (
        Put("", DIR),
        Opaque(""),
        Put("a/y", ONE),
        Put("b", DIR),
        Opaque("b"),
        Whiteout("b/gone"),
        Whiteout("b/x"),
        Put("b/x", TWO),
        Put("b.c", ONE),
        Put("\ufffd", ONE),
        Put("\U0001f600", TWO),
        Put("\udcff", ONE),
    )
    assert built.layer().changes == expected


def test_removals_below_a_replaced_directory_go_with_it() -> None:
    built = builder()
    built.whiteout("d/x")
    built.opaque("d/e")
    built.put("d", ONE)
    assert built.layer().changes == (Put("d", ONE),)


@pytest.mark.parametrize("path", ["x" * 256, "ä" * 128, "x" * 256 + "/a", "\udcff" * 256])
def test_refuses_long_names(path: str) -> None:
    with pytest.raises(InvalidInput, match=r"file name too long$"):
        builder().put(path, ONE)


def test_takes_names_as_long_as_may_be() -> None:
    built = builder()
    longest = "/".join(["x" * 255] * 16)
    built.put(longest[:4096], ONE)
    built.put("ä" * 127 + "x", ONE)
    with pytest.raises(InvalidInput, match=r"file name too long$"):
        built.put(longest + "/yy", ONE)


def test_counts_what_names_imply() -> None:
    limits = Limits(nodes=10)
    built = builder(limits=limits)
    built.put("/".join("abcdefghi"), ONE)
    built.put("a/b", DIR)
    built.whiteout("gone")
    with pytest.raises(InvalidInput, match="more than 10 entries"):
        built.put("z", ONE)
    with pytest.raises(InvalidInput, match="more than 10 entries"):
        builder(limits=limits).put("a/" * 2000 + "f", ONE)


def test_a_tree_may_be_deeper_than_the_stack() -> None:
    built = builder()
    built.put("d/" * 2000 + "f", ONE)
    tree = built.tree()
    assert sum(1 for _ in walk(tree)) == 2001
    assert len(built.layer().changes) == 1


def test_many_directories_are_not_all_remembered() -> None:
    built = builder()
    for n in range(5000):
        built.put(f"d{n}/f", ONE)
    assert len(built._parents) < 5000
    assert len(built.tree().children) == 5000


def test_names_are_shown_short_and_on_one_line() -> None:
    assert quote("a") == '"a"'
    assert quote("a\nb\udcff") == '"a\\nb\\udcff"'
    assert len(quote("x" * 5000)) < 110


def test_devices_are_nodes_like_others() -> None:
    device = Device(mode=0o600, kind="character", major=0, minor=0)
    assert builder({"a": device}).tree().children == {"a": device}
