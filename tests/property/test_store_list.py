"""The image list against the plainest possible one, and the catalogue after many changes against a new one."""

import itertools
from collections.abc import Iterable, Mapping

from hypothesis import given
from hypothesis import strategies as st

from imagewright.filesystem import matches
from imagewright.oci import Digest
from imagewright.store import ImageQuery, ImageSummary
from imagewright.store.catalogue import Catalogue
from imagewright.store.listing import Bounds, Entry, select_images

IDS = [Digest.of(b"%d" % number) for number in range(6)]
NAMES = [
    *(f"docker.io/library/{name}:{tag}" for name in ("one", "two") for tag in "12"),
    "localhost:5000/team/one:1",
    *(f"localhost:5000/team/two@{Digest.of(tag)}" for tag in (b"1", b"2")),
]
PATTERNS = ["one", "one:1", "*", "*:1", "localhost:5000/*/*", "docker.io/library/o*", "*/*/two@*", "nope", "?wo"]

labels = st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from(("", "1", "2")))
ids = st.sampled_from(IDS)
queries = st.builds(
    ImageQuery,
    all=st.booleans(),
    dangling=st.sampled_from((None, True, False)),
    labels=st.lists(st.sampled_from(("a", "a=", "a=1", "b=2", "b")), max_size=2).map(tuple),
    references=st.lists(st.sampled_from(PATTERNS), max_size=2).map(tuple),
    until_ns=st.lists(st.integers(0, 5_000_000_000), max_size=2).map(tuple),
)


@st.composite
def forests(draw: st.DrawFn) -> dict[Digest, Entry]:
    """Some images, each name at most at one of them."""
    images = draw(st.sets(ids))
    owners = {name: draw(st.sampled_from(sorted(images))) for name in draw(st.sets(st.sampled_from(NAMES))) if images}
    return {
        image: Entry.make(
            image,
            parent=draw(st.none() | ids),
            created_ns=draw(st.integers(0, 5)) * 999_999_999,
            size=0,
            names=[name for name, owner in owners.items() if owner == image],
            labels=draw(labels),
            containers=0,
        )
        for image in images
    }


def plain_list(entries: Iterable[Entry], query: ImageQuery) -> list[tuple[Digest, set[str]]]:
    """Return what the engine's loop over all images selects, written down as it is there."""
    entries = list(entries)
    parents = [entry.summary.parent for entry in entries]
    selected = []
    for entry in entries:
        image = entry.summary
        if query.dangling and image.id in parents:
            continue
        if any(image.created_ns >= until for until in query.until_ns):
            continue
        if not has_labels(image.labels, query.labels):
            continue
        names = [
            name
            for name in entry.names
            if not query.references
            or any(
                matches(pattern, text)
                for pattern in query.references
                for text in (name.familiar, name.familiar_name, name.canonical, name.name)
            )
        ]
        tags = [name for name in names if name.digest is None]
        if not names:
            if not query.all and image.id in parents:
                continue
            if query.dangling is False or query.references:
                continue
        elif query.dangling and tags:
            continue
        selected.append((image.id, {name.familiar for name in names}))
    return selected


def has_labels(found: Mapping[str, str] | None, wanted: tuple[str, ...]) -> bool:
    for label in wanted:
        key, equals, value = label.partition("=")
        if key not in (found or {}) or (equals and (found or {})[key] != value):
            return False
    return True


@given(forests(), queries)
def test_the_list_is_the_plain_one(entries: dict[Digest, Entry], query: ImageQuery) -> None:
    parents = {entry.summary.parent for entry in entries.values() if entry.summary.parent is not None}
    bounds = Bounds(before_ns=min(query.until_ns, default=None))
    found = [
        (image.id, {*image.tags, *image.digests}) for image in select_images(entries.values(), query, bounds, parents)
    ]
    assert found == plain_list(entries.values(), query)


@given(st.lists(forests(), min_size=2, max_size=5), queries)
def test_changes_one_by_one_come_to_the_same(states: list[dict[Digest, Entry]], query: ImageQuery) -> None:
    catalogue = Catalogue(states[0], 0)
    for generation, (before, after) in enumerate(itertools.pairwise(states), 1):
        changes: dict[Digest, Entry | None] = {image: after.get(image) for image in before.keys() | after.keys()}
        changed = catalogue.differs(changes)
        shown = catalogue.list(ImageQuery(all=True))
        catalogue.list(query)  # Whatever is kept to answer it has to follow the change.
        catalogue.change(changes, generation)
        new = Catalogue(after, 0)
        assert catalogue.list(query) == new.list(query)
        assert catalogue.names() == new.names()
        assert changed or shown == catalogue.list(ImageQuery(all=True))
        assert len(catalogue) == len(after)
        for image in IDS:
            assert summary_of(catalogue, image) == summary_of(new, image)


def summary_of(catalogue: Catalogue, image: Digest) -> ImageSummary | None:
    entry = catalogue.find_entry(image)
    return None if entry is None else entry.summary
