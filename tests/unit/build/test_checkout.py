import os
from pathlib import Path

import pytest

from imagewright.archive import read_content
from imagewright.build.checkout import read_directory
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled
from imagewright.filesystem import Directory, File, Symlink, find, walk


def test_what_is_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "d/e").mkdir(parents=True)
    (tmp_path / "d/f").write_bytes(b"x" * 3)
    (tmp_path / "d/f").chmod(0o640)
    (tmp_path / "l").symlink_to("/etc")
    os.mkfifo(tmp_path / "p")
    with open(os.fsencode(tmp_path) + b"/\xff", "wb"):
        pass
    tree = read_directory(str(tmp_path), Cancellation())
    assert [path for path, _ in walk(tree)] == ["d", "d/e", "d/f", "l", "\udcff"]
    assert isinstance(find(tree, "d/e"), Directory)
    file, link = find(tree, "d/f"), find(tree, "l")
    assert isinstance(file, File)
    assert (file.mode, file.uid, file.gid, read_content(file.content, 9)) == (0o640, 0, 0, b"xxx")
    assert isinstance(link, Symlink)
    assert link.target == "/etc"


def test_directories_that_are_very_deep(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    deep = str(tmp_path)
    while len(deep) < 4000:
        deep += "/a"
        os.mkdir(deep)
    names = [path for path, _ in walk(read_directory(str(tmp_path), Cancellation()))]
    os.removedirs(deep)  # which those who clean up after tests could not do
    assert len(names) > 1900
    assert max(map(len, names)) == len(deep) - len(str(tmp_path)) - 1


def test_cancelling(tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        read_directory(str(tmp_path), cancellation)
