import pytest
from sqlalchemy import Engine as SqlEngine
from sqlalchemy import event

from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Digest, History, ImageConfig, RootfsConfig, encode_config
from imagewright.reference import Reference
from imagewright.store import HistoryItem, ImageQuery, Store
from unit.store.seeding import SECOND, Seed

MANIFEST = Digest.of(b"manifest")


def test_an_image_comes_back_as_it_went_in(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a", b"four")
    config = b'{"unknown":{"kept":true},"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z",'
    config += b'"rootfs":{"type":"layers","diff_ids":["%s"]},"config":{"Labels":{"a":"b"}}}' % str(diff_id).encode()
    image = store.add_image(config, references=[Reference.parse("two"), Reference.parse(f"two@{MANIFEST}")])
    assert image == Digest.of(config)
    for reopened in (False, True):
        opened = seed.reopen() if reopened else store
        stored = opened.get_image(image)
        assert stored.config_bytes == config
        assert stored.config.run.labels == {"a": "b"}
        assert (stored.id, stored.parent, stored.size) == (image, None, 4)
        assert stored.created_ns == 1577836800 * SECOND
        assert stored.tags == (Reference.parse("two:latest"),)
        assert stored.digests == (Reference.parse(f"two@{MANIFEST}"),)
        assert stored.tagged_ns == seed.now_ns
        (summary,) = opened.list_images()
        assert (summary.id, summary.parent, summary.size, summary.containers) == (image, None, 4, 0)
        assert (summary.tags, summary.digests) == (("two:latest",), (f"two@{MANIFEST}",))
        assert summary.labels == {"a": "b"}
        assert opened.image_count() == 1


def test_adding_is_idempotent_and_keeps_the_first_parent(seed: Seed, store: Store) -> None:
    parent, other = seed.image("p:1"), seed.image("q:1")
    image = seed.image(text="same", created_ns=0)
    assert store.get_image(image).parent is None
    assert seed.image("x:1", text="same", created_ns=0, parent=parent) == image
    assert seed.image("y:1", text="same", created_ns=0, parent=other) == image
    stored = store.get_image(image)
    assert (stored.parent, [str(tag) for tag in stored.tags]) == (
        parent,
        ["docker.io/library/x:1", "docker.io/library/y:1"],
    )
    assert store.list_images(ImageQuery(references=("x",)))[0].parent == parent


def test_no_image_descends_from_itself(seed: Seed, store: Store) -> None:
    first = seed.image(text="first", created_ns=0)
    second = seed.image(parent=first)
    for parent in (first, second):
        seed.image(text="first", created_ns=0, parent=parent)
        assert store.get_image(first).parent is None


def test_an_image_looks_at_no_more_of_a_long_line_than_of_a_short_one(seed: Seed) -> None:
    asked: list[str] = []

    def remember(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    image, statements = seed.image(), []
    event.listen(SqlEngine, "before_cursor_execute", remember)
    try:
        for number in range(20):
            asked.clear()
            image = seed.image(text=str(number), parent=image)
            statements.append(len(asked))
    finally:
        event.remove(SqlEngine, "before_cursor_execute", remember)
    assert statements[19] == statements[1] > 0


def test_what_an_image_needs(seed: Seed, store: Store) -> None:
    before = store.generation
    with pytest.raises(NotFound, match="No such layer: sha256:"):
        seed.image("x:1", layers=[Digest.of(b"no layer")])
    with pytest.raises(NotFound, match="No such image: sha256:"):
        seed.image("x:1", parent=Digest.of(b"no image"))
    with pytest.raises(InvalidInput, match="invalid image configuration"):
        store.add_image(b"{")
    with pytest.raises(InvalidInput, match="invalid time"):
        store.add_image(b'{"architecture":"amd64","os":"linux","created":"yesterday"}')
    assert (store.image_count(), store.list_references(), store.generation) == (0, [], before)


def test_go_has_a_time_before_all_others(store: Store) -> None:
    image = store.add_image(b'{"architecture":"amd64","os":"linux","created":"0001-01-01T00:00:00Z"}')
    assert store.get_image(image).created_ns == -62135596800 * SECOND
    assert store.list_images()[0].created_ns == -62135596800 * SECOND


def test_tags_move(seed: Seed, store: Store) -> None:
    first, second = seed.image("x:1"), seed.image()
    seed.now_ns += 5
    store.tag(second, Reference.parse("x:1"))
    assert store.get_image(first).tags == ()
    assert store.get_image(second).tagged_ns == seed.now_ns
    assert store.find_reference(Reference.parse("x:1")) == second
    store.tag(second, Reference.parse("y"))
    assert store.list_references() == [(Reference.parse("x:1"), second), (Reference.parse("y:latest"), second)]
    assert [image.tags for image in store.list_images()] == [("x:1", "y:latest"), ()]


def test_tags_that_are_refused(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    with pytest.raises(InvalidInput, match=r"^refusing to create a tag with a digest reference$"):
        store.tag(image, Reference.parse(f"y@{MANIFEST}"))
    with pytest.raises(InvalidInput, match=r"^refusing to create an ambiguous tag using digest algorithm as name$"):
        store.tag(image, Reference.parse("sha256:1"))
    with pytest.raises(NotFound, match="No such image"):
        store.tag(MANIFEST, Reference.parse("y"))


def test_untagging_leaves_the_image(seed: Seed, store: Store) -> None:
    image = seed.image("x", f"x@{MANIFEST}")
    store.untag(Reference.parse("x"))
    store.untag(Reference.parse(f"x@{MANIFEST}"))
    assert store.get_image(image).tags == store.get_image(image).digests == ()
    with pytest.raises(NotFound, match=r"^No such image: x:latest$"):
        store.untag(Reference.parse("x"))


def test_generations(seed: Seed, store: Store) -> None:
    seen = {store.generation}
    seed.image("x:1")
    seen.add(store.generation)
    store.tag(store.resolve("x:1"), Reference.parse("x:2"))
    seen.add(store.generation)
    last = store.generation
    store.list_images()
    assert store.generation == last
    assert len(seen) == 3
    assert seed.reopen().generation == last


def test_history(seed: Seed, store: Store) -> None:
    low, high = seed.layer("a", b"1"), seed.layer("b", b"22")
    base = seed.image("base:1", layers=[low])
    config = ImageConfig(
        architecture="amd64",
        os="linux",
        rootfs=RootfsConfig(diff_ids=(str(low), str(high))),
        history=(
            History(created="1970-01-01T00:00:01Z", created_by="first"),
            History(created="whenever", created_by="ENV", empty_layer=True),
            History(created_by="last", comment="why"),
        ),
    )
    image = store.add_image(encode_config(config), parent=base, references=[Reference.parse("x:1")])
    assert store.history(image) == [
        HistoryItem(id=image, created_ns=0, created_by="last", comment="why", size=2, tags=("x:1",)),
        HistoryItem(id=base, created_ns=0, created_by="ENV", comment="", size=0, tags=("base:1",)),
        HistoryItem(id=None, created_ns=SECOND, created_by="first", comment="", size=1, tags=()),
    ]
    with pytest.raises(NotFound):
        store.history(MANIFEST)


def test_a_history_with_more_layers_than_there_are(store: Store) -> None:
    config = ImageConfig(architecture="amd64", os="linux", history=(History(created_by="boast"),))
    assert store.history(store.add_image(encode_config(config)))[0].size == 0
