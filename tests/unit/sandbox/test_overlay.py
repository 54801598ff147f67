import os
from pathlib import Path

import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import Directory
from imagewright.sandbox.overlay import check_working_directory, give_root_metadata, make_mount_points


@pytest.fixture(name="lower")
def make_lower(tmp_path: Path) -> Path:
    lower = tmp_path / "lower"
    lower.mkdir()
    return lower


@pytest.mark.parametrize("path", ["/", "/w", "/w/../x/./y", "/process", "/loop-free", "/missing/proc", "/up/w"])
def test_working_directories(lower: Path, path: str) -> None:
    (lower / "w").mkdir()
    (lower / "loop-free").symlink_to("w/x/y")
    (lower / "up").symlink_to("../../..")
    check_working_directory(str(lower), path)


@pytest.mark.parametrize(
    "path", ["/proc", "/proc/self", "/x/../proc/1", "/a", "/b/c", "/up/proc", "//proc//self/", "/./proc"]
)
def test_working_directories_in_proc(lower: Path, path: str) -> None:
    (lower / "a").symlink_to("proc/self/fd/7")
    (lower / "b").symlink_to("/../proc")
    (lower / "up").symlink_to("../../..")
    with pytest.raises(InvalidInput, match="is in /proc"):
        check_working_directory(str(lower), path)


def test_a_working_directory_of_links_to_each_other(lower: Path) -> None:
    (lower / "a").symlink_to("b")
    (lower / "b").symlink_to("a")
    with pytest.raises(InvalidInput, match="too many symbolic links"):
        check_working_directory(str(lower), "/a")


def test_mount_points_of_an_empty_image(tmp_path: Path) -> None:
    make_mount_points(str(tmp_path / "init"), [])
    names = sorted(str(path.relative_to(tmp_path / "init")) for path in (tmp_path / "init").rglob("*"))
    assert names == sorted(
        [".dockerenv", "dev", "etc", "etc/hostname", "etc/hosts", "etc/mtab", "etc/resolv.conf", "proc", "sys"]
    )


def test_mount_points_have_the_metadata_of_the_highest_layer(tmp_path: Path) -> None:
    for name, mode in (("high", 0o710), ("low", 0o700)):
        (tmp_path / name / "etc").mkdir(parents=True)
        (tmp_path / name / "etc").chmod(mode)
        (tmp_path / name).chmod(mode)
    (tmp_path / "low/proc").mkdir(mode=0o555)
    os.utime(tmp_path / "low/proc", ns=(5, 5))
    make_mount_points(str(tmp_path / "init"), [str(tmp_path / "high"), str(tmp_path / "low")])
    status = {name: (tmp_path / "init" / name).stat() for name in ("", "etc", "proc", "dev")}
    assert [oct(status[name].st_mode & 0o7777) for name in ("", "etc", "proc", "dev")] == [
        "0o710",
        "0o710",
        "0o555",
        "0o755",
    ]
    assert status["proc"].st_mtime_ns == 5


@pytest.mark.parametrize("name", ["dev", "proc", "sys"])
def test_files_and_links_in_place_of_mount_points(lower: Path, name: str) -> None:
    (lower / name).symlink_to("/tmp")
    with pytest.raises(InvalidInput, match=f"the image's /{name} is not a directory"):
        make_mount_points(f"{lower}.init", [str(lower)])


def test_a_link_in_place_of_etc_is_covered(lower: Path) -> None:
    (lower / "etc").symlink_to("elsewhere")
    make_mount_points(f"{lower}.init", [str(lower)])
    assert os.path.isdir(f"{lower}.init/etc")
    assert not os.path.islink(f"{lower}.init/etc")


def test_root_metadata(tmp_path: Path, lower: Path) -> None:
    upper = tmp_path / "upper"
    upper.mkdir(mode=0o700)
    give_root_metadata(str(upper), [], None)
    assert upper.stat().st_mode & 0o777 == 0o755
    lower.chmod(0o711)
    give_root_metadata(str(upper), [str(lower)], None)
    assert upper.stat().st_mode & 0o777 == 0o711
    node = Directory(mode=0o750, uid=os.getuid(), gid=os.getgid(), mtime_ns=10**9)
    give_root_metadata(str(upper), [str(lower)], node)
    assert (upper.stat().st_mode & 0o777, upper.stat().st_mtime_ns) == (0o750, 10**9)
