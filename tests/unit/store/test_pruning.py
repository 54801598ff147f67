"""Each rule was asked of dockerd 20.10.24."""

import pytest

from imagewright.oci import Digest, chain_id
from imagewright.store import ImageQuery, Pruned, Pruning, Store
from unit.store.seeding import SECOND, Seed


def words(pruned: Pruned) -> list[str]:
    return [
        f"-{removal.untagged}" if removal.untagged is not None else str(removal.deleted) for removal in pruned.removals
    ]


def left(store: Store) -> set[Digest]:
    return {image.id for image in store.list_images(ImageQuery(all=True))}


def test_dangling_images_go_with_their_parents(seed: Seed, store: Store) -> None:
    with store.lease():
        base, top = seed.layer("base", b"123"), seed.layer("top", b"12345")
        named = seed.image("named:1", layers=[base])
        middle = seed.image(layers=[base, top], parent=named)
        dangling = seed.image(layers=[base, top], parent=middle)
    pruned = store.prune_images(Pruning())
    assert words(pruned) == [str(dangling), str(middle), str(chain_id([base, top]))]
    assert [removal.image for removal in pruned.removals] == [dangling, middle, None]
    assert pruned.space_reclaimed == 5
    assert left(store) == {named}
    assert not store.has_layer(top)
    assert store.prune_images(Pruning()) == Pruned()


def test_all_unused_images_go(seed: Seed, store: Store) -> None:
    base = seed.layer("base", b"123")
    parent = seed.image("parent:1", layers=[base], created_ns=SECOND)
    digest = f"localhost:5000/child@{Digest.of(b'')}"
    child = seed.image("localhost:5000/child:1", "other:2", digest, parent=parent, layers=[base], created_ns=2 * SECOND)
    assert words(store.prune_images(Pruning())) == []
    assert words(store.prune_images(Pruning(dangling=False))) == [
        "-other:2",
        "-localhost:5000/child:1",
        f"-{digest}",
        str(child),
        "-parent:1",
        str(parent),
        str(chain_id([base])),
    ]
    assert left(store) == set()


def test_an_image_of_a_container_stays(seed: Seed, store: Store) -> None:
    used = seed.image("used:1", "used:2")
    seed.container(used)
    other = seed.container(seed.image()).image
    assert words(store.prune_images(Pruning(dangling=False))) == ["-used:1"]
    assert left(store) == {used, other}


def test_an_image_with_digests_alone_dangles(seed: Seed, store: Store) -> None:
    name = f"localhost:5000/x@{Digest.of(b'')}"
    image = seed.image(name)
    parent = seed.image(f"localhost:5000/y@{Digest.of(b'')}")
    child = seed.image("child:1", parent=parent)
    assert words(store.prune_images(Pruning())) == [f"-{name}", str(image)]
    assert left(store) == {parent, child}


@pytest.mark.parametrize(
    ("labels", "unlabelled", "gone"),
    [
        ((), (), "abn"),
        (("a",), (), "ab"),
        (("a=1",), (), "ab"),
        (("a=2",), (), ""),
        (("a", "b"), (), "b"),
        ((), ("a",), "n"),
        # As the engine has it: only an image with all of them is spared.
        ((), ("a", "b"), "an"),
        (("a",), ("b=",), "a"),
    ],
)
def test_labels(seed: Seed, store: Store, labels: tuple[str, ...], unlabelled: tuple[str, ...], gone: str) -> None:
    images = {
        "a": seed.image(labels={"a": "1"}),
        "b": seed.image(labels={"a": "1", "b": ""}),
        "n": seed.image(),
    }
    store.prune_images(Pruning(labels=labels, unlabelled=unlabelled))
    assert {name for name, image in images.items() if image not in left(store)} == set(gone)


def test_times(seed: Seed, store: Store) -> None:
    old, new = seed.image(created_ns=5), seed.image(created_ns=6)
    store.prune_images(Pruning(until_ns=5))
    assert left(store) == {new}
    seed.now_ns += 100 * SECOND
    used = seed.image(created_ns=7)
    assert store.prune_images(Pruning(unused_for_ns=101 * SECOND)) == Pruned()
    store.prune_images(Pruning(unused_for_ns=100 * SECOND))
    assert left(store) == {used}
    assert old not in left(store)
