"""Each case was asked of dockerd 20.10.24, which gave these answers."""

import pytest

from imagewright.errors import Conflict, InvalidInput, NotFound
from imagewright.oci import Digest, chain_id
from imagewright.reference import Reference
from imagewright.store import ImageQuery, Store
from unit.store.seeding import Seed


def remove(store: Store, name: str, *, force: bool = False, prune: bool = True) -> list[str]:
    removals = store.remove_image(name, force=force, prune_parents=prune)
    return [f"-{removal.untagged}" if removal.untagged is not None else str(removal.deleted) for removal in removals]


class Family:
    """A base, and on it a child of three steps, of which the second makes no layer."""

    def __init__(self, seed: Seed, *names: str, tag: str = "x") -> None:
        with seed.store.lease():
            base = seed.layer("base")
            first, third = seed.layer(f"1{tag}"), seed.layer(f"3{tag}")
            self.base = seed.image("base:1", layers=[base], text="base", created_ns=0)
            self.first = seed.image(layers=[base, first], parent=self.base)
            self.second = seed.image(layers=[base, first], parent=self.first)
            self.third = seed.image(*names, layers=[base, first, third], parent=self.second)
        self.chains = [str(chain_id([base, first, third][:count])) for count in (1, 2, 3)]

    @property
    def everything(self) -> list[str]:
        """What is deleted when the child goes with its parents, down to the base."""
        return [str(self.third), self.chains[2], str(self.second), str(self.first), self.chains[1]]


def test_one_of_several_names_is_only_untagged(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1", "one:2", "other:1")
    assert remove(store, "one:2") == ["-one:2"]
    assert store.get_image(family.third).tags == (Reference.parse("one:1"), Reference.parse("other:1"))
    assert remove(store, "one:1", prune=False) == ["-one:1"]
    assert remove(store, family.third.short) == ["-other:1", *family.everything]
    assert store.resolve("base:1") == family.base


def test_the_last_name_takes_the_image_and_its_parents(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    assert remove(store, "one:1") == ["-one:1", *family.everything]
    with pytest.raises(NotFound, match=f"^No such image: {family.third}$"):
        store.get_image(family.third)
    assert [image.id for image in store.list_images(ImageQuery(all=True))] == [family.base]


def test_an_id_with_names_in_several_repositories_must_be_forced(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1", "one:2", "aaa.example/x:1")
    for name in (str(family.third), family.third.encoded, family.third.encoded[:6]):
        with pytest.raises(Conflict) as caught:
            remove(store, name)
        assert str(caught.value) == (
            f"conflict: unable to delete {family.third.short} (must be forced) - "
            "image is referenced in multiple repositories"
        )
    assert remove(store, str(family.third), force=True) == [
        "-aaa.example/x:1",
        "-one:1",
        "-one:2",
        *family.everything,
    ]


def test_two_tags_in_one_repository_must_be_forced_too(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1", "one:2")
    with pytest.raises(Conflict, match="image is referenced in multiple repositories"):
        remove(store, str(family.third))


def test_parents_stay_without_pruning(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    assert remove(store, "one:1", prune=False) == ["-one:1", str(family.third), family.chains[2]]
    assert remove(store, str(family.second), prune=False) == [str(family.second)]
    assert remove(store, str(family.first)) == [str(family.first), family.chains[1]]
    assert store.resolve("base:1") == family.base


def test_an_image_with_children_cannot_be_deleted_but_untagged(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    child = seed.image("kid:1", layers=store.get_image(family.third).config.diff_ids, parent=family.third)
    for force in (False, True):
        with pytest.raises(Conflict) as caught:
            remove(store, family.third.short, force=force)
        assert str(caught.value) == (
            f"conflict: unable to delete {family.third.short} (cannot be forced) - image has dependent child images"
        )
    assert remove(store, "one:1") == ["-one:1"]
    assert remove(store, "kid:1") == ["-kid:1", str(child), *family.everything]


def test_pruning_stops_at_a_parent_with_a_name(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    store.tag(family.second, Reference.parse("mid:1"))
    assert remove(store, "one:1") == ["-one:1", str(family.third), family.chains[2]]
    assert remove(store, "mid:1") == ["-mid:1", str(family.second), str(family.first), family.chains[1]]


def test_pruning_stops_at_a_parent_with_another_child(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    other = seed.image("two:1", layers=store.get_image(family.third).config.diff_ids, parent=family.second)
    assert remove(store, "one:1") == ["-one:1", str(family.third)]
    assert remove(store, "two:1") == ["-two:1", str(other), *family.everything[1:]]


def test_a_base_that_lost_its_name_goes_with_its_last_child(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    assert remove(store, "base:1") == ["-base:1"]
    assert remove(store, "one:1") == ["-one:1", *family.everything, str(family.base), family.chains[0]]
    assert store.image_count() == 0


def test_layers_of_another_image_are_not_deleted(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    twin = seed.image("twin:1", layers=store.get_image(family.third).config.diff_ids)
    assert remove(store, "one:1") == ["-one:1", str(family.third), str(family.second), str(family.first)]
    assert remove(store, "twin:1") == ["-twin:1", str(twin), family.chains[2], family.chains[1]]


def test_an_image_in_use_by_a_container(seed: Seed, store: Store) -> None:
    family = Family(seed, "two:1")
    container = seed.container(family.third)
    for name in ("two:1", "library/two:1"):
        with pytest.raises(Conflict) as caught:
            remove(store, name)
        assert str(caught.value) == (
            f'conflict: unable to remove repository reference "{name}" (must force) - container '
            f"{container.id[:12]} is using its referenced image {family.third.short}"
        )
    with pytest.raises(Conflict) as caught:
        remove(store, family.third.short)
    assert str(caught.value) == (
        f"conflict: unable to delete {family.third.short} (must be forced) - "
        f"image is being used by stopped container {container.id[:12]}"
    )
    store.tag(family.third, Reference.parse("two:2"))
    assert remove(store, "two:1") == ["-two:1"]
    # The container keeps the layers, but not the image.
    expected = ["-two:2", str(family.third), str(family.second), str(family.first)]
    assert remove(store, "two:2", force=True) == expected
    assert all(store.has_layer(diff_id) for diff_id in (seed.layer("1x"), seed.layer("3x")))
    store.remove_container(container.id)


def test_a_nameless_image_in_use_by_a_container(seed: Seed, store: Store) -> None:
    family = Family(seed)
    container = seed.container(family.third)
    with pytest.raises(Conflict, match=f"used by stopped container {container.id[:12]}"):
        remove(store, family.third.short)
    assert remove(store, family.third.short, force=True)[0] == str(family.third)


def test_pruning_stops_at_a_parent_in_use_by_a_container(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    seed.container(family.second)
    assert remove(store, "one:1") == ["-one:1", str(family.third), family.chains[2]]
    assert store.get_image(family.second).parent == family.first


def test_the_newest_container_is_named(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    seed.container(family.third)
    newest = seed.container(family.third)
    with pytest.raises(Conflict, match=newest.id[:12]):
        remove(store, "one:1")


DIGEST = Digest.of(b"manifest")
REMOTE = "localhost:5000/two"


def test_digests_of_a_repository_go_with_its_last_tag(seed: Seed, store: Store) -> None:
    family = Family(seed, f"{REMOTE}:1", f"{REMOTE}:2", f"{REMOTE}@{DIGEST}", "p:1")
    assert remove(store, f"{REMOTE}:2") == [f"-{REMOTE}:2"]
    assert remove(store, f"{REMOTE}:1") == [f"-{REMOTE}:1", f"-{REMOTE}@{DIGEST}"]
    assert remove(store, "p:1") == ["-p:1", *family.everything]


def test_a_digest_can_be_removed_alone(seed: Seed, store: Store) -> None:
    family = Family(seed, f"{REMOTE}:1", f"{REMOTE}@{DIGEST}")
    assert remove(store, f"{REMOTE}@{DIGEST}") == [f"-{REMOTE}@{DIGEST}"]
    assert remove(store, f"{REMOTE}:1") == [f"-{REMOTE}:1", *family.everything]


def test_a_tag_beside_a_digest_is_repeated_and_means_nothing(seed: Seed, store: Store) -> None:
    family = Family(seed, f"{REMOTE}:1", f"{REMOTE}@{DIGEST}")
    assert remove(store, f"{REMOTE}:9@{DIGEST}") == [f"-{REMOTE}:9@{DIGEST}"]
    assert store.resolve(f"{REMOTE}:1") == family.third


def test_an_id_with_one_tag_and_its_digest_goes(seed: Seed, store: Store) -> None:
    family = Family(seed, f"{REMOTE}:1", f"{REMOTE}@{DIGEST}")
    assert remove(store, family.third.short) == [f"-{REMOTE}:1", f"-{REMOTE}@{DIGEST}", *family.everything]


def test_an_id_with_only_a_digest_goes(seed: Seed, store: Store) -> None:
    family = Family(seed, f"{REMOTE}@{DIGEST}")
    assert remove(store, family.third.short) == [f"-{REMOTE}@{DIGEST}", *family.everything]


def test_an_id_with_a_tag_and_a_digest_of_another_repository_must_be_forced(seed: Seed, store: Store) -> None:
    family = Family(seed, "p:1", f"{REMOTE}@{DIGEST}")
    with pytest.raises(Conflict, match="image is referenced in multiple repositories"):
        remove(store, family.third.short)
    assert remove(store, "p:1") == ["-p:1"]


def test_a_name_that_is_nothing(seed: Seed, store: Store) -> None:
    Family(seed, "one:1")
    with pytest.raises(NotFound, match=r"^No such image: nope:latest$"):
        remove(store, "nope")
    with pytest.raises(InvalidInput, match=r"^invalid reference format$"):
        remove(store, "sha256:")
    with pytest.raises(InvalidInput, match=r"^image name cannot be blank$"):
        remove(store, " ")


def test_a_refused_removal_changes_nothing(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1", "other:1")
    before = store.list_images(), store.generation
    with pytest.raises(Conflict):
        remove(store, family.third.short)
    assert (store.list_images(), store.generation) == before


def test_layers_go_from_the_disk(seed: Seed, store: Store) -> None:
    family = Family(seed, "one:1")
    layers = store.get_image(family.third).config.diff_ids
    remove(store, "one:1")
    assert [store.has_layer(diff_id) for diff_id in layers] == [True, False, False]
    store.get_layer(layers[0])
    with pytest.raises(NotFound):
        store.get_layer(layers[1])
