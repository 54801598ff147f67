import threading

from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store import ImageQuery, Store
from unit.store.seeding import SECOND, Seed

MINUTE = 60 * SECOND


def last_used(store: Store, image: Digest) -> int:
    [listed] = [summary.last_used_ns for summary in store.list_images(ImageQuery(all=True)) if summary.id == image]
    assert store.get_image(image).last_used_ns == listed
    return listed


def test_adding_and_tagging_are_uses(seed: Seed, store: Store) -> None:
    image = seed.image("x:1", text="x")
    assert last_used(store, image) == seed.now_ns
    seed.now_ns += SECOND
    store.tag(image, Reference.parse("y:1"))
    assert last_used(store, image) == seed.now_ns
    seed.now_ns += MINUTE
    assert seed.image(text="x", created_ns=0) != image
    before = store.generation
    store.add_image(store.get_image(image).config_bytes)
    assert last_used(store, image) == seed.now_ns
    assert store.generation == before
    store.flush()
    assert last_used(seed.reopen(), image) == seed.now_ns


def test_uses_are_noted_once_a_minute_and_kept(seed: Seed, store: Store) -> None:
    image, other = seed.image("x:1"), seed.image("y:1")
    begun, generation = seed.now_ns, store.generation
    seed.now_ns += MINUTE - 1
    store.note_use(image)
    assert last_used(store, image) == begun
    seed.now_ns += 1
    store.note_use(image)
    store.note_use(Digest.of(b"none"))
    assert (last_used(store, image), last_used(store, other)) == (begun + MINUTE, begun)
    assert store.generation == generation
    reopened = seed.reopen()
    assert (last_used(reopened, image), last_used(reopened, other)) == (begun + MINUTE, begun)


def test_a_use_waits_for_no_transaction(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    seed.now_ns += MINUTE
    done = threading.Thread(target=store.note_use, args=(image,))
    with store._database.write(durable=False):
        done.start()
        done.join(5)
        assert not done.is_alive()
        assert last_used(store, image) == seed.now_ns
    assert last_used(seed.reopen(), image) == seed.now_ns


def test_a_transaction_takes_no_use_back(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    with store._database.exclusive():
        seed.now_ns += MINUTE
        noted = threading.Thread(target=store.note_use, args=(image,))
        noted.start()
        noted.join()
        seed.container(image)
    assert last_used(store, image) == seed.now_ns


def test_a_use_that_cannot_be_written_is_written_later(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    seed.now_ns += MINUTE
    with store._database.write(durable=False) as connection:
        connection.exec_driver_sql("ALTER TABLE uses RENAME TO hidden")
    store.note_use(image)
    with store._database.write(durable=False) as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO uses")
    assert last_used(store, image) == seed.now_ns
    assert last_used(seed.reopen(), image) == seed.now_ns


def test_unused_images_are_listed(seed: Seed, store: Store) -> None:
    image, other = seed.image("x:1"), seed.image("y:1")
    query = ImageQuery(unused_for_ns=MINUTE)
    assert store.list_images(query) == []
    seed.now_ns += MINUTE
    assert {summary.id for summary in store.list_images(query)} == {image, other}
    store.note_use(image)
    assert [summary.id for summary in store.list_images(query)] == [other]
    store.remove_image("y:1")
    assert store.list_images(query) == []


def test_the_generation_grows_when_an_answer_changes(seed: Seed, store: Store) -> None:
    layer = seed.layer("a")
    image = seed.image("x:1", layers=[layer])
    seen = [store.generation]

    def changed() -> bool:
        seen.append(store.generation)
        return seen[-1] != seen[-2]

    shown = store.list_images()
    store.tag(image, Reference.parse("x:1"))
    assert not changed()
    assert store.list_images()[0] == shown[0]
    store.tag(image, Reference.parse("x:2"))
    assert changed()
    seed.image("y:1", layers=[layer])
    assert changed()
    assert {summary.shared_size for summary in store.list_images()} == {1}
    container = seed.container(image)
    assert changed()
    store.remove_container(container.id)
    assert changed()
    store.remove_image("y:1")
    assert changed()
    assert seed.reopen().generation == seen[-1]
