import errno
import os
from pathlib import Path

import pytest

from imagewright.errors import SystemFailure
from imagewright.store.disk import move, remove_tree, sync_directory, sync_filesystem, translated, write_file


def test_files_are_new_and_moves_replace(tmp_path: Path) -> None:
    write_file(f"{tmp_path}/a", b"1")
    with pytest.raises(FileExistsError):
        write_file(f"{tmp_path}/a", b"2")
    write_file(f"{tmp_path}/b", b"3")
    move(f"{tmp_path}/b", f"{tmp_path}/a")
    assert (tmp_path / "a").read_bytes() == b"3"
    assert os.listdir(tmp_path) == ["a"]
    sync_directory(str(tmp_path))
    sync_filesystem(str(tmp_path))


def test_removing_what_is_not_there_or_is_a_file(tmp_path: Path) -> None:
    remove_tree(f"{tmp_path}/nothing")
    write_file(f"{tmp_path}/a", b"")
    os.symlink("a", tmp_path / "link")
    remove_tree(f"{tmp_path}/link")
    assert os.listdir(tmp_path) == ["a"]
    remove_tree(f"{tmp_path}/a")
    assert os.listdir(tmp_path) == []


def test_removing_a_tree_follows_no_link(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_bytes(b"")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "empty").mkdir()
    os.symlink(outside, tree / "a" / "link")
    os.mkfifo(tree / "a" / "b" / "fifo")
    (tree / "closed").mkdir()
    (tree / "closed" / "x").write_bytes(b"")
    (tree / "closed").chmod(0)
    remove_tree(str(tree))
    assert os.listdir(tmp_path) == ["outside"]
    assert os.listdir(outside) == ["kept"]


def test_what_an_interrupted_removal_left_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "tree" / "a" / "b").mkdir(parents=True)
    (tmp_path / "tree.1" / "c").mkdir(parents=True)
    remove_tree(f"{tmp_path}/tree")
    assert os.listdir(tmp_path) == ["tree.1"]
    remove_tree(f"{tmp_path}/tree.1")
    assert os.listdir(tmp_path) == []


def test_removing_a_tree_deeper_than_any_path_and_any_stack(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    fd = os.open(top, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("deep", dir_fd=fd)
        inner = os.open("deep", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(str(top))
    assert os.listdir(tmp_path) == []


def test_errors_name_no_path() -> None:
    with pytest.raises(SystemFailure) as caught, translated("cannot do it"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/secret/path")
    assert str(caught.value) == "cannot do it: No space left on device"
    with pytest.raises(SystemFailure, match=r"^cannot do it: input/output error$"), translated("cannot do it"):
        raise OSError


def test_a_filesystem_that_cannot_be_synced_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_filesystem(f"{tmp_path}/nothing")
