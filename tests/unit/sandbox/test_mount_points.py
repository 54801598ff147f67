import os
from pathlib import Path

import pytest

from imagewright.errors import InvalidInput
from imagewright.sandbox.mount_points import MountPoints


def make_lower(path: Path, mode: int = 0o755) -> str:
    (path / "etc").mkdir(parents=True)
    (path / "etc").chmod(mode)
    os.utime(path / "etc", (1, 1))
    return str(path)


def test_images_that_are_alike_have_one_in_common(tmp_path: Path) -> None:
    made = MountPoints(str(tmp_path / "made"))
    one, alike, other = make_lower(tmp_path / "a"), make_lower(tmp_path / "b"), make_lower(tmp_path / "c", 0o700)
    with made.shared([one]) as first, made.shared([alike]) as second, made.shared([other]) as third:
        assert first == second != third
        assert [(Path(path) / "etc").stat().st_mode & 0o777 for path in (first, third)] == [0o755, 0o700]
        assert (Path(first) / "proc").is_dir()
        assert (Path(first) / "etc/hosts").is_file()
    with made.shared([one]) as again:
        assert again == first
    made.clear()
    assert not (tmp_path / "made").exists()
    with made.shared([one]) as new:
        assert (Path(new) / "dev").is_dir()


def test_few_are_kept_and_none_that_is_used_is_removed(tmp_path: Path) -> None:
    made = MountPoints(str(tmp_path / "made"))
    with made.shared([make_lower(tmp_path / "used")]) as used:
        for mode in range(0o700, 0o700 + 20):
            with made.shared([make_lower(tmp_path / f"{mode}", mode)]):
                pass
        assert (Path(used) / "etc/hosts").exists()
        assert len(os.listdir(tmp_path / "made")) == 9


def test_an_image_in_which_nothing_can_be_run(tmp_path: Path) -> None:
    made = MountPoints(str(tmp_path / "made"))
    (tmp_path / "lower").mkdir()
    (tmp_path / "lower/dev").touch()
    with pytest.raises(InvalidInput, match="/dev is not a directory"), made.shared([str(tmp_path / "lower")]):
        pass
    assert os.listdir(tmp_path / "made") == []
