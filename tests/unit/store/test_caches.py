import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled
from imagewright.store import Caches


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
