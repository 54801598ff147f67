"""What images share, kept as they come and go, against a plain recount after every change."""

import tempfile
from collections import Counter
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagewright.errors import Conflict
from imagewright.oci import Digest, ImageConfig, RootfsConfig, chain_id, encode_config
from imagewright.reference import Reference
from imagewright.store import ImageQuery, Pruning, Store
from unit.store.seeding import Seed

NAMES = tuple(Reference.parse(name) for name in ("one:1", "one:2", "two:1", f"two@{Digest.of(b'')}"))

numbers = st.integers(0, 9)
additions = st.tuples(
    st.just("add"), st.lists(st.integers(1, 3), max_size=3), st.none() | numbers, st.none() | st.sampled_from(NAMES)
)
steps = st.one_of(
    additions,
    st.tuples(st.just("tag"), numbers, st.sampled_from(NAMES[:3])),
    st.tuples(st.just("untag"), st.sampled_from(NAMES)),
    st.tuples(st.just("remove"), numbers, st.booleans(), st.booleans()),
    st.tuples(st.just("remove name"), st.sampled_from(NAMES)),
    st.tuples(st.just("container"), numbers),
    st.tuples(st.just("prune"), st.booleans()),
)


class Play:
    """A store to which the steps are done; what they cannot be done to is left alone."""

    def __init__(self, directory: str) -> None:
        self.seed = Seed(directory)
        self.store: Store = self.seed.store
        self._count = 0
        self.layers = [self.seed.layer(str(size), b"x" * 10**size) for size in range(4)]

    def do(self, step: tuple[object, ...]) -> None:
        images = sorted(image.id for image in self.store.list_images(ImageQuery(all=True)))
        match step:
            case ("add", list() as layers, parent, name):
                self._count += 1
                config = ImageConfig(
                    author=str(self._count),
                    rootfs=RootfsConfig(diff_ids=tuple(str(self.layers[layer]) for layer in layers)),
                )
                self.store.add_image(
                    encode_config(config),
                    parent=images[parent % len(images)] if images and isinstance(parent, int) else None,
                    references=(name,) if isinstance(name, Reference) else (),
                )
            case ("tag", int(number), Reference() as name) if images:
                self.store.tag(images[number % len(images)], name)
            case ("untag", Reference() as name) if self.store.find_reference(name):
                self.store.untag(name)
            case ("remove", int(number), bool(force), bool(parents)) if images:
                self.remove(str(images[number % len(images)]), force=force, parents=parents)
            case ("remove name", Reference() as name) if self.store.find_reference(name):
                self.remove(name.familiar, force=False, parents=True)
            case ("container", int(number)) if images:
                self.seed.container(images[number % len(images)])
            case ("prune", bool(dangling)):
                self.store.prune_images(Pruning(dangling=dangling))

    def remove(self, name: str, *, force: bool, parents: bool) -> None:
        try:
            self.store.remove_image(name, force=force, prune_parents=parents)
        except Conflict:
            return

    def check(self) -> None:
        """Compare what the store says with what follows from the images."""
        images = self.store.list_images(ImageQuery(all=True))
        parents = {image.parent for image in images}
        seen = {image.id for image in images if image.tags or image.digests or image.id not in parents}
        chains = {image.id: self.chains(self.store.get_image(image.id).config.diff_ids) for image in images}
        counts = Counter(chain for image in seen for chain in chains[image])
        for image in images:
            shared = sum(size for chain, size in chains[image.id].items() if counts[chain] - (image.id in seen) > 0)
            assert (image.shared_size, image.unique_size) == (shared, image.size - shared)
        sizes = {chain: size for image in seen for chain, size in chains[image].items()}
        usage = self.store.disk_usage()
        assert usage.layers_size == sum(sizes.values())
        assert {image.id for image in usage.images} == seen

    def chains(self, diff_ids: Sequence[Digest]) -> dict[Digest | None, int]:
        return {
            chain_id(diff_ids[: count + 1]): self.store.layer_size(diff_id) for count, diff_id in enumerate(diff_ids)
        }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(additions, min_size=2, max_size=8), st.lists(steps, max_size=12))
def test_sizes_are_those_of_a_recount(begun: list[tuple[object, ...]], done: list[tuple[object, ...]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        play = Play(directory)
        with play.store.lease() as lease:
            for layer in play.layers:
                lease.keep(layer)
            for step in begun + done:
                play.do(step)
                play.check()
        shown = play.store.list_images(ImageQuery(all=True))
        assert play.seed.reopen().list_images(ImageQuery(all=True)) == shown
        play.seed.store.close()
