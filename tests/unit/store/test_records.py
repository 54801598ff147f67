from imagewright.oci import Digest
from imagewright.store import Record, Store
from unit.store.seeding import Seed

KEY, OTHER, CONTENT, PARENT = (Digest.of(name) for name in (b"key", b"other", b"content", b"parent"))


def test_records_are_found_by_their_key(seed: Seed, store: Store) -> None:
    record = Record(diff_id=seed.layer("a"), created_ns=5, leaves={"command": "true"}, parent=PARENT, content=CONTENT)
    store.put_record(KEY, record)
    assert store.find_record(KEY) == record
    assert store.find_record(OTHER) is None


def test_a_later_record_takes_the_place(seed: Seed, store: Store) -> None:
    store.put_record(KEY, Record(diff_id=seed.layer("a"), created_ns=5, leaves={"a": "1"}))
    store.put_record(KEY, Record(diff_id=None, created_ns=6))
    assert store.find_record(KEY) == Record(diff_id=None, created_ns=6)


def test_a_record_goes_with_its_layer(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")
    store.put_record(KEY, Record(diff_id=diff_id, created_ns=5, content=CONTENT))
    store.put_record(OTHER, Record(diff_id=Digest.of(b"never here"), created_ns=5))
    assert store.find_record(OTHER) is None
    store.sweep()
    assert store.find_record(KEY) is None
    assert store.find_adoptable(None, CONTENT) is None
    assert seed.layer("a") == diff_id
    assert store.find_record(KEY) is None


def test_what_is_found_is_kept(seed: Seed, store: Store) -> None:
    store.put_record(KEY, Record(diff_id=seed.layer("a"), created_ns=5, content=CONTENT))
    with store.lease():
        assert store.find_record(KEY) is not None
        store.sweep()
        assert store.find_record(KEY) is not None
    with store.lease():
        assert store.find_adoptable(None, CONTENT) is not None
        store.sweep()
        assert store.find_record(KEY) is not None


def _adoptable(store: Store, parent: Digest | None) -> Digest | None:
    record = store.find_adoptable(parent, CONTENT)
    return None if record is None else record.diff_id


def test_the_first_of_equal_layers_is_adopted(seed: Seed, store: Store) -> None:
    first, second, third = seed.layer("a"), seed.layer("b"), seed.layer("c")
    store.put_record(KEY, Record(diff_id=second, created_ns=20, parent=PARENT, content=CONTENT))
    store.put_record(OTHER, Record(diff_id=first, created_ns=10, parent=PARENT, content=CONTENT))
    store.put_record(CONTENT, Record(diff_id=third, created_ns=1, parent=None, content=CONTENT))
    store.put_record(PARENT, Record(diff_id=None, created_ns=1, parent=None, content=OTHER))
    assert [_adoptable(store, parent) for parent in (PARENT, None)] == [first, third]
    assert store.find_adoptable(PARENT, OTHER) is None
    assert store.find_adoptable(None, OTHER) is None


def test_records_survive(seed: Seed, store: Store) -> None:
    with store.lease():
        diff_id = seed.layer("a")
        seed.image("x:1", layers=[diff_id])
    record = Record(diff_id=diff_id, created_ns=5)
    store.put_record(KEY, record)
    assert seed.reopen().find_record(KEY) == record


def test_the_newest_come_first(store: Store) -> None:
    for number, name in enumerate((b"c", b"a", b"b")):
        store.put_record(Digest.of(name), Record(diff_id=None, created_ns=number, leaves={"n": str(number)}))
    assert [record.leaves["n"] for record in store.newest_records(2)] == ["2", "1"]
