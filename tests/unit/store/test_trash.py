import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from imagewright.store.disk import removal
from imagewright.store.trash import Trash

_SECONDS = 20.0
_MANY = 1000


@pytest.fixture(name="trash")
def make_trash(tmp_path: Path) -> Trash:
    (tmp_path / "trash").mkdir()
    return Trash(f"{tmp_path}/trash")


def fill(directory: Path, count: int) -> str:
    for number in range(count):
        parent = directory / f"{number % 10}/deeper"
        parent.mkdir(parents=True, exist_ok=True)
        (parent / str(number)).touch()
    return str(directory)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_little_is_gone_at_once(trash: Trash, tmp_path: Path) -> None:
    trash.throw(fill(tmp_path / "tree", 20))
    (tmp_path / "file").write_bytes(b"x")
    trash.throw(f"{tmp_path}/file")
    trash.throw(f"{tmp_path}/nothing")
    assert sorted(os.listdir(tmp_path)) == ["trash"]
    assert os.listdir(trash.directory) == []
    trash.close()


def test_much_is_out_of_the_way_at_once_and_gone_soon(trash: Trash, tmp_path: Path) -> None:
    for number in range(2):
        trash.throw(fill(tmp_path / f"tree{number}", _MANY))
        assert sorted(os.listdir(tmp_path)) == ["trash"]
    wait_for(lambda: os.listdir(trash.directory) == [])
    wait_for(lambda: all(thread.name != "imagewright-trash" for thread in threading.enumerate()))
    # The next one has a thread again.
    trash.throw(fill(tmp_path / "tree", _MANY))
    wait_for(lambda: os.listdir(trash.directory) == [])
    trash.close()


def test_links_are_not_followed(trash: Trash, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").touch()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(tmp_path / "kept")
    trash.throw(f"{tmp_path}/tree")
    assert os.listdir(tmp_path / "kept") == ["file"]


def test_what_is_left_at_the_end_is_removed_by_the_next(trash: Trash, tmp_path: Path) -> None:
    place = fill(tmp_path / "trash/tree", _MANY)
    begun = removal(place)
    for _ in range(_MANY // 2):
        next(begun)
    begun.close()
    left = os.listdir(trash.directory)
    assert left
    trash.close()
    trash.sweep()
    assert sorted(os.listdir(trash.directory)) == sorted(left)
    following = Trash(trash.directory)
    following.sweep()
    wait_for(lambda: os.listdir(following.directory) == [])
    following.close()
    following.close()


def test_where_nothing_can_be_moved_it_is_removed_all_the_same(tmp_path: Path) -> None:
    trash = Trash(f"{tmp_path}/no/such/directory")
    (tmp_path / "file").touch()
    trash.throw(f"{tmp_path}/file")
    assert os.listdir(tmp_path) == []
