import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.sandbox.descent import Descent


@pytest.fixture(name="descent")
def make_descent(tmp_path: Path) -> Iterator[Descent]:
    with Descent(str(tmp_path)) as descent:
        yield descent


def names(descent: Descent) -> list[str]:
    return sorted(os.listdir(descent.here))


def test_down_and_up_again_further_than_descriptors_are_kept(descent: Descent) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for level in range(200):
        os.mkdir(f"d{level}", dir_fd=descent.here)
        descent.enter(f"d{level}")
    assert descent.depth == 200
    assert len(os.listdir("/proc/self/fd")) - before < 70
    for level in reversed(range(150)):
        while descent.depth > level:
            descent.leave()
        assert names(descent) == [f"d{level}"]
    for level in range(200):
        descent.enter(f"d{level}")
    assert names(descent) == []


def test_only_directories_are_entered(descent: Descent, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(".")
    for name in ("file", "link"):
        with pytest.raises(NotADirectoryError):
            descent.enter(name)
    with pytest.raises(FileNotFoundError):
        descent.enter("missing")
    assert names(descent) == ["file", "link"]


def test_directories_by_their_names_from_the_start(descent: Descent, tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("b")
    descent.enter("a")
    for path, found in (([], ["a"]), (["a", "b"], ["c"])):
        descriptor = descent.open(path)
        assert os.listdir(descriptor) == found
        os.close(descriptor)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NotADirectoryError):
        descent.open(["a", "link", "c"])
    assert len(os.listdir("/proc/self/fd")) == before


def test_closing_twice(tmp_path: Path) -> None:
    descent = Descent(str(tmp_path))
    descent.close()
    descent.close()
