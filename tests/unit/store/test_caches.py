import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled
from imagewright.store import Caches
from imagewright.store.caches import Fill


def nothing(_directory: str) -> None:
    return


class Clock:
    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 1
        return self.now


@pytest.fixture(name="caches")
def make_caches(tmp_path: Path) -> Iterator[Caches]:
    (tmp_path / "ingest").mkdir()
    yield open_caches(tmp_path)
    assert os.listdir(tmp_path / "ingest") == []


def open_caches(root: Path) -> Caches:
    return Caches(str(root / "caches"), str(root / "ingest"), clock=Clock())


def test_what_is_written_is_there_the_next_time_and_after_a_restart(caches: Caches, tmp_path: Path) -> None:
    with caches.use("k", "/cache", "shared", nothing, Cancellation()) as path:
        Path(path, "file").write_text("kept")
    for again in (caches, open_caches(tmp_path)):
        with again.use("k", "/cache", "shared", nothing, Cancellation()) as path:
            assert Path(path, "file").read_text() == "kept"
        with again.use("other", "/cache", "shared", nothing, Cancellation()) as path:
            assert os.listdir(path) == []
    (used, _) = caches.list()
    assert (used.name, used.uses, used.in_use) in {("/cache", 3, False), ("/cache", 2, False)}


def test_a_new_one_is_filled_once(caches: Caches) -> None:
    filled: list[str] = []

    def fill(directory: str) -> None:
        filled.append(directory)
        Path(directory, "base").touch()

    for _ in range(2):
        with caches.use("k", "n", "locked", fill, Cancellation()) as path:
            assert os.listdir(path) == ["base"]
    assert len(filled) == 1


def test_nobody_waits_for_the_filling_of_another(caches: Caches) -> None:
    begun, go_on, cancellation = threading.Event(), threading.Event(), Cancellation()
    seen: list[list[str]] = []

    def fill(directory: str) -> None:
        begun.set()
        assert go_on.wait(10)
        Path(directory, "base").touch()

    def use(how: Fill) -> None:
        with caches.use("k", "n", "shared", how, Cancellation()) as path:
            seen.append(os.listdir(path))

    threads = [threading.Thread(target=use, args=(how,)) for how in (fill, nothing)]
    threads[0].start()
    assert begun.wait(10)
    threads[1].start()
    with caches.use("other", "n", "locked", nothing, Cancellation()) as path:
        assert os.listdir(path) == []
        assert [cache.in_use for cache in caches.list()] == [True]
    threading.Timer(0.05, cancellation.cancel).start()
    with pytest.raises(Cancelled), caches.use("k", "n", "shared", nothing, cancellation):
        pass
    assert seen == []
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert seen == [["base"], ["base"]]


def test_who_waited_fills_what_another_could_not(caches: Caches) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def fail(_directory: str) -> None:
        begun.set()
        assert go_on.wait(10)
        raise Cancelled("Build cancelled")

    def use() -> None:
        with pytest.raises(Cancelled), caches.use("k", "n", "shared", fail, Cancellation()):
            pass

    thread = threading.Thread(target=use)
    thread.start()
    assert begun.wait(10)
    threading.Timer(0.05, go_on.set).start()
    with caches.use("k", "n", "shared", lambda path: Path(path, "mine").touch(), Cancellation()) as path:
        assert os.listdir(path) == ["mine"]
    thread.join(10)


def test_a_size_is_measured_where_no_link_leads(caches: Caches, tmp_path: Path) -> None:
    (tmp_path / "host/deep").mkdir(parents=True)
    (tmp_path / "host/deep/big").write_bytes(bytes(1_000_000))
    with caches.use("k", "n", "shared", nothing, Cancellation()) as path:
        Path(path, "link").symlink_to(tmp_path / "host")
        below = Path(path)
        for name in "abcdefgh":
            below /= name * 200
            below.mkdir()
            (below / "file").write_bytes(bytes(10_000))
            os.link(below / "file", below / "again")
        Path(path, "a" * 200, "z").mkdir()
        Path(path, "a" * 200, "z/file").write_bytes(bytes(10_000))
        assert 90_000 < caches.list()[0].size < 300_000
        stop = threading.Event()

        def swap() -> None:
            place = os.open(path, os.O_RDONLY)
            while not stop.is_set():
                os.rename("a" * 200, "away", src_dir_fd=place, dst_dir_fd=place)
                os.symlink(tmp_path / "host", "a" * 200, dir_fd=place)
                os.unlink("a" * 200, dir_fd=place)
                os.rename("away", "a" * 200, src_dir_fd=place, dst_dir_fd=place)
            os.close(place)

        thread = threading.Thread(target=swap)
        thread.start()
        sizes = [caches.list()[0].size for _ in range(100)]
        stop.set()
        thread.join()
    assert max(sizes) < 300_000


def test_one_that_cannot_be_filled_is_none(caches: Caches, tmp_path: Path) -> None:
    def fill(directory: str) -> None:
        Path(directory, "half").touch()
        raise Cancelled("Build cancelled")

    with pytest.raises(Cancelled), caches.use("k", "n", "shared", fill, Cancellation()):
        pass
    assert caches.list() == []
    assert os.listdir(tmp_path / "caches") == []
    with caches.use("k", "n", "locked", nothing, Cancellation()) as path:
        assert os.listdir(path) == []


def test_shared_by_all(caches: Caches) -> None:
    first = caches.use("k", "n", "shared", nothing, Cancellation())
    second = caches.use("k", "n", "shared", nothing, Cancellation())
    with first as one, second as other:
        assert one == other
        assert caches.list()[0].in_use


def test_private_takes_another_and_comes_back_to_it(caches: Caches) -> None:
    for _ in range(2):
        first = caches.use("k", "n", "private", nothing, Cancellation())
        second = caches.use("k", "n", "private", nothing, Cancellation())
        with first as one, second as other:
            assert one != other
    assert len(caches.list()) == 2


@pytest.mark.parametrize(("holding", "waiting"), [("locked", "locked"), ("locked", "shared"), ("shared", "locked")])
def test_waits_its_turn(caches: Caches, holding: str, waiting: str) -> None:
    order: list[str] = []

    def wait() -> None:
        with caches.use("k", "n", waiting, nothing, Cancellation()):
            order.append("second")

    with caches.use("k", "n", holding, nothing, Cancellation()):
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join(0.15)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_waiting_can_be_cancelled(caches: Caches) -> None:
    cancellation = Cancellation()
    with caches.use("k", "n", "locked", nothing, Cancellation()):
        threading.Timer(0.05, cancellation.cancel).start()
        with pytest.raises(Cancelled), caches.use("k", "n", "locked", nothing, cancellation):
            pass
    assert not caches.list()[0].in_use


def test_one_in_use_is_not_removed(caches: Caches) -> None:
    with caches.use("k", "n", "shared", nothing, Cancellation()) as path:
        Path(path, "big").write_bytes(bytes(100_000))
        (listed,) = caches.list()
        assert not caches.remove(listed.id)
    (listed,) = caches.list()
    assert listed.size >= 100_000
    assert caches.remove(listed.id)
    assert not caches.remove(listed.id)
    assert caches.list() == []


def test_what_was_being_removed_or_made_at_a_kill_is_gone(caches: Caches, tmp_path: Path) -> None:
    with caches.use("k", "n", "shared", nothing, Cancellation()):
        pass
    (tmp_path / "caches/half/data").mkdir(parents=True)
    (identity,) = (cache.id for cache in open_caches(tmp_path).list())
    assert os.listdir(tmp_path / "caches") == [identity]
