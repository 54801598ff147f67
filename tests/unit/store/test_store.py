import os
import stat
import threading
from pathlib import Path

import pytest

from imagewright.errors import SystemFailure
from imagewright.reference import Reference
from imagewright.store import ImageQuery, Store
from unit.store.seeding import Seed


def test_one_process_at_a_time(seed: Seed) -> None:
    with pytest.raises(SystemFailure, match="in use by another imagewright process"):
        Store.open(seed.root, clock=seed.clock)
    seed.store.close()
    with Store.open(seed.root, clock=seed.clock) as store:
        assert store.image_count() == 0
    store.close()


def test_the_root_is_private(seed: Seed) -> None:
    for path in (seed.root, f"{seed.root}/layers", f"{seed.root}/blobs/sha256", f"{seed.root}/ingest"):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700


def test_a_root_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match=r"^cannot open the data root: No such file or directory$"):
        Store.open(f"{tmp_path}/missing/root", clock=lambda: 0)
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "db.sqlite").write_bytes(b"nonsense" * 200)
    for _ in range(2):
        with pytest.raises(SystemFailure, match="file is not a database"):
            Store.open(f"{tmp_path}/root", clock=lambda: 0)


def test_scratch_goes_with_its_context(store: Store) -> None:
    with store.scratch() as scratch:
        assert stat.S_IMODE(os.stat(scratch).st_mode) == 0o700
        os.makedirs(f"{scratch}/a/b")
    assert not os.path.exists(scratch)


def test_flush(seed: Seed, store: Store) -> None:
    seed.image()
    store.flush()


def test_threads(seed: Seed, store: Store) -> None:
    """Images come and go, with layers that they share, while others look at them."""
    failures: list[BaseException] = []
    done = threading.Event()

    def guarded(work: object, *arguments: object) -> None:
        try:
            work(*arguments)  # type: ignore[operator]
        except BaseException as error:  # noqa: BLE001 - looked at below
            failures.append(error)

    def come_and_go(number: int) -> None:
        for turn in range(8):
            with store.lease():
                layers = [seed.layer("shared"), seed.layer(f"own{turn % 3}", b"x" * number)]
                image = seed.image(f"x{number}:1", layers=layers)
            assert store.resolve(f"x{number}:1") == image
            store.tag(image, Reference.parse("common"))
            store.tree(layers)
            store.remove_image(f"x{number}:1", force=True)

    def look() -> None:
        while not done.is_set():
            for image in store.list_images(ImageQuery(all=True)):
                assert image.size > 0
            store.list_references()
            store.sweep()

    threads = [threading.Thread(target=guarded, args=(come_and_go, number)) for number in (1, 2, 3)]
    looker = threading.Thread(target=guarded, args=(look,))
    for thread in (*threads, looker):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    looker.join()
    assert failures == []
    for name in [reference.familiar for reference, _ in store.list_references()]:
        store.remove_image(name, force=True)
    for image in store.list_images(ImageQuery(all=True)):
        store.remove_image(str(image.id), force=True)
    store.sweep()
    assert os.listdir(f"{seed.root}/layers") == os.listdir(f"{seed.root}/blobs/sha256") == []
    assert os.listdir(f"{seed.root}/ingest") == []


def test_the_same_layer_added_by_many(seed: Seed, store: Store) -> None:
    found = []
    values = [seed.value("same", b"x" * 100_000) for _ in range(4)]
    captured = [seed.captured("same", b"x" * 100_000) for _ in range(4)]
    threads = [threading.Thread(target=lambda value=value: found.append(store.add_layer(value))) for value in values]
    threads += [
        threading.Thread(target=lambda pair=pair: found.append(store.add_layer_directory(*pair, below=[])))
        for pair in captured
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert os.listdir(f"{seed.root}/layers") == [found[0].encoded]
