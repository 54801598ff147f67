"""The rules of WIRE 3.1 and 3.3, with the corrections of the newest moby."""

from collections.abc import Mapping

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Digest
from imagewright.store import ImageQuery
from imagewright.store.listing import Bounds, Entry, select_images

MANIFEST = Digest.of(b"manifest")


def entry(
    name: str,
    *names: str,
    labels: Mapping[str, str] | None = None,
    parent: str = "",
    created_ns: int = 0,
    last_used_ns: int = 0,
) -> Entry:
    return Entry.make(
        Digest.of(name.encode()),
        parent=Digest.of(parent.encode()) if parent else None,
        created_ns=created_ns,
        size=1,
        names=names,
        labels=labels,
        containers=0,
        last_used_ns=last_used_ns,
    )


ENTRIES = {
    "tagged": entry("tagged", "docker.io/library/two:1", "docker.io/ns/two:2", labels={"k": "v", "l": ""}),
    "pushed": entry("pushed", "localhost:5000/p:1", f"localhost:5000/p@{MANIFEST}", labels={"k": "w"}),
    "digest": entry("digest", f"localhost:5000/dig@{MANIFEST}"),
    "dangling": entry("dangling", labels={}),
    "middle": entry("middle"),
    "child": entry("child", "docker.io/library/child:1", parent="middle"),
    "tagged parent": entry("tagged parent", "docker.io/library/par:1"),
    "nameless child": entry("nameless child", parent="tagged parent"),
    "digest parent": entry("digest parent", f"docker.io/library/dp@{MANIFEST}"),
    "its child": entry("its child", "docker.io/library/ic:1", parent="digest parent"),
}
PARENTS = {Digest.of(name) for name in (b"middle", b"tagged parent", b"digest parent")}
NAMES = {item.summary.id: name for name, item in ENTRIES.items()}


def ask(query: ImageQuery) -> set[str]:
    return {NAMES[image.id] for image in select_images(ENTRIES.values(), query, Bounds(), PARENTS)}


def test_untagged_parents_are_hidden_unless_asked_for() -> None:
    assert ask(ImageQuery(all=True)) == set(ENTRIES)
    assert ask(ImageQuery()) == set(ENTRIES) - {"middle"}


@pytest.mark.parametrize("all_", [False, True])
def test_dangling(all_: bool) -> None:
    assert ask(ImageQuery(all=all_, dangling=True)) == {"digest", "dangling", "nameless child"}
    assert ask(ImageQuery(all=all_, dangling=False)) == {
        "tagged",
        "pushed",
        "digest",
        "child",
        "tagged parent",
        "digest parent",
        "its child",
    }


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("k",), {"tagged", "pushed"}),
        (("k=v",), {"tagged"}),
        (("k=v", "k=w"), set()),
        (("k", "l"), {"tagged"}),
        (("l=",), {"tagged"}),
        (("k=",), set()),
        (("K",), set()),
        (("",), set()),
    ],
)
def test_labels(labels: tuple[str, ...], expected: set[str]) -> None:
    assert ask(ImageQuery(labels=labels)) == expected


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("two",), {"tagged"}),
        (("two:1",), {"tagged"}),
        (("two:*",), {"tagged"}),
        (("t?o",), {"tagged"}),
        (("[a-z]wo:1",), {"tagged"}),
        (("docker.io/library/two",), {"tagged"}),
        (("docker.io/library/two:1",), {"tagged"}),
        (("library/two",), set()),
        (("*/two",), {"tagged"}),
        (("*",), {"tagged", "child", "tagged parent", "digest parent", "its child"}),
        (("localhost:5000/*",), {"pushed", "digest"}),
        ((f"localhost:5000/dig@{MANIFEST}",), {"digest"}),
        (("child", "par"), {"child", "tagged parent"}),
        (("nope",), set()),
        (("",), set()),
    ],
)
def test_references(patterns: tuple[str, ...], expected: set[str]) -> None:
    assert ask(ImageQuery(references=patterns)) == expected
    assert ask(ImageQuery(references=patterns, all=True)) == expected


def test_names_that_do_not_match_are_dropped() -> None:
    (image,) = select_images([ENTRIES["tagged"]], ImageQuery(references=("two:1",)), Bounds(), set())
    assert image.tags == ("two:1",)
    (image,) = select_images([ENTRIES["pushed"]], ImageQuery(references=("*/p:1",)), Bounds(), set())
    assert (image.tags, image.digests) == (("localhost:5000/p:1",), ())
    (image,) = select_images([ENTRIES["pushed"]], ImageQuery(references=("*/p",)), Bounds(), set())
    assert image is ENTRIES["pushed"].summary


def test_dangling_looks_at_the_names_that_match() -> None:
    query = ImageQuery(dangling=True, references=("localhost:5000/*@*",))
    assert ask(query) == {"pushed", "digest"}


def test_a_pattern_that_is_none() -> None:
    with pytest.raises(InvalidInput, match="syntax error in pattern"):
        ask(ImageQuery(references=("[",)))


def test_names_are_sorted_by_their_canonical_forms() -> None:
    names = ("docker.io/ns/b:9", "docker.io/library/zz:1", "docker.io/library/aa:1", "abc.example/x:1")
    assert entry("x", *names).summary.tags == ("abc.example/x:1", "aa:1", "zz:1", "ns/b:9")


def test_bounds_exclude_themselves() -> None:
    bounds = Bounds(after_ns=3, before_ns=6)
    images = [entry("x", created_ns=time, last_used_ns=10 * time).summary for time in range(10)]
    assert [image.created_ns for image in images if bounds.admit(image)] == [4, 5]
    assert [image.created_ns for image in images if Bounds(used_ns=20).admit(image)] == [0, 1, 2]
