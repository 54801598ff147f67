import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from imagewright.cli.extraction import extract
from imagewright.errors import InvalidInput, SystemFailure
from support.builder import Content, Member, archive

Members = dict[str, Content]


def write(directory: Path, members: Members | list[tuple[str, Content]]) -> int:
    return extract(io.BytesIO(archive(members)), str(directory))


def test_files(tmp_path: Path) -> None:
    members: Members = {
        "d": Member.directory(0o500),
        "d/f": Member(b"text", mode=0o6640, uid=12345, gid=54321, mtime=1000),
        "same": Member.hard_link("d/f"),
        "link": Member.symlink("/etc/passwd"),
        "fifo": Member(type=tarfile.FIFOTYPE, mode=0o600),
        "./implied/deep/f": "x",
        "tmp": Member.directory(0o1777),
        "device": Member(type=tarfile.CHRTYPE, device=(1, 3)),
    }
    assert write(tmp_path / "out", members) == 1
    out = tmp_path / "out"
    assert sorted(os.listdir(out)) == ["d", "fifo", "implied", "link", "same", "tmp"]
    status = (out / "d/f").stat()
    assert (out / "d/f").read_bytes() == b"text"
    # Whoever asked for the files has them, and they give nobody's rights.
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o640, os.getuid(), 1000)
    assert (out / "same").samefile(out / "d/f")
    assert os.readlink(out / "link") == "/etc/passwd"
    assert stat.S_ISFIFO((out / "fifo").stat().st_mode)
    assert (out / "implied/deep/f").read_text() == "x"
    assert stat.S_IMODE((out / "d").stat().st_mode) == 0o500
    assert stat.S_IMODE((out / "tmp").stat().st_mode) == 0o1777
    (out / "d").chmod(0o700)


def test_what_is_there_stays_but_for_files_of_the_same_name(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    out = tmp_path / "out"
    (out / "d").mkdir(parents=True)
    (out / "d/kept").write_text("kept")
    (out / "f").symlink_to(victim)
    os.link(victim, out / "d/hard")
    write(out, {"d": Member.directory(), "d/new": "n", "f": "new", "d/hard": "new"})
    assert victim.read_text() == "mine"
    texts = {path.name: path.read_text() for path in (out / "d").iterdir()}
    assert texts == {"kept": "kept", "new": "n", "hard": "new"}
    assert not (out / "f").is_symlink()


@pytest.mark.parametrize("members", [{"link/f": "x"}, {"link": Member.directory()}, {"link/d/f": "x"}])
def test_nothing_is_written_through_links(tmp_path: Path, members: Members) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/link").symlink_to(elsewhere)
    with pytest.raises(InvalidInput, match="nothing is written through links"):
        write(tmp_path / "out", members)
    # Nor through one that the archive brings.
    with pytest.raises(InvalidInput, match="nothing is written through links"):
        write(tmp_path / "other", [("link", Member.symlink(str(elsewhere))), *members.items()])
    assert os.listdir(elsewhere) == []


@pytest.mark.parametrize("name", ["../f", "d/../../f", "/../f"])
def test_nothing_is_written_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="the archive leads out of its directory"):
        write(tmp_path / "out", {name: "x"})
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("source", ["there", "../victim", "link/passwd"])
def test_links_are_to_what_the_archive_brought(tmp_path: Path, source: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "there").write_text("not the archive's")
    with pytest.raises(InvalidInput, match="the archive l"):
        write(out, [("link", Member.symlink("/etc")), ("f", Member.hard_link(source))])
    assert not (out / "f").exists()


def test_a_directory_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "out/d").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="something else is in its place"):
        write(tmp_path / "out", {"d": "x"})
    with pytest.raises(InvalidInput, match="something else is in its place"):
        write(tmp_path / "new", [("f", "x"), ("f/g", "y")])


def test_a_file_in_the_place_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(InvalidInput, match="something else is in its place"):
        write(tmp_path / "out", {})


def test_a_disk_that_refuses() -> None:
    with pytest.raises(SystemFailure, match="cannot write"):
        write(Path("/proc/nowhere"), {"f": "x"})


def test_many_directories_deep(tmp_path: Path) -> None:
    # Longer than a path may be for the kernel.
    name = "/".join(["directory" * 3] * 200)
    write(tmp_path / "out", {f"{name}/f": "x", "g": "y"})
    assert (tmp_path / "out/g").read_text() == "y"
