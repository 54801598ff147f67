import os
from pathlib import Path

import pytest

from imagewright.archive import Spool
from imagewright.errors import SystemFailure


def test_keeps_what_is_written_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    with Spool(str(path)) as spool:
        spool.write(b"one")
        spool.write(b"two")
        assert spool.size == 6
        spool.sync()
    assert path.read_bytes() == b"onetwo"
    assert path.stat().st_mode & 0o777 == 0o600
    assert not spool.sparse
    assert not Path(spool.sparse_path).exists()


def test_closing_twice_does_nothing(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"))
    spool.close()
    spool.close()
    with pytest.raises(SystemFailure, match="Bad file descriptor"):
        spool.write(b"x")


def test_never_writes_over_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemFailure, match=r"^cannot keep the archive: File exists$"):
        Spool(str(path))


def test_errors_of_the_disk_do_not_name_its_paths() -> None:
    with pytest.raises(SystemFailure) as caught:
        Spool("/nowhere/at/all")
    assert str(caught.value) == "cannot keep the archive: No such file or directory"


def test_a_failure_to_close_is_a_failure(tmp_path: Path) -> None:
    spool = Spool(str(tmp_path / "spool"))
    os.close(spool._file)
    with pytest.raises(SystemFailure):
        spool.close()


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:2], offset))
    with Spool(str(tmp_path / "spool")) as spool:
        spool.write(b"12345")
    assert Path(spool.path).read_bytes() == b"12345"
