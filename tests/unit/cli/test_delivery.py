import io
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.archive import Writable
from imagewright.cli.delivery import deliver
from imagewright.cli.destination import Destination
from imagewright.cli.display import Display, PlainDisplay
from imagewright.engine import BuildRequest
from imagewright.errors import RunFailed, SystemFailure
from support.builder import Member, archive


class SmallEngine:
    """Hands out `files`, or fails half way."""

    def __init__(self, files: bytes, *, fails: bool = False) -> None:
        self.files = files
        self.fails = fails

    def build_files(self, chunks: Iterator[bytes], request: BuildRequest, display: Display, out: Writable) -> None:
        del chunks, request, display
        out.write(self.files[:100])
        if self.fails:
            raise RunFailed("it failed", exit_code=3)
        out.write(self.files[100:])


FILES = archive([("f", "x"), ("device", Member(type=b"3", device=(1, 3)))])


def run(destination: Destination, *, fails: bool = False) -> str:
    shown = io.BytesIO()
    deliver(SmallEngine(FILES, fails=fails), iter([]), BuildRequest(), destination, PlainDisplay(shown))
    return shown.getvalue().decode()


def test_a_directory(tmp_path: Path) -> None:
    shown = run(Destination("local", str(tmp_path / "a/b")))
    assert os.listdir(tmp_path / "a/b") == ["f"]
    assert shown == "1 device left out\n"


def test_an_archive(tmp_path: Path) -> None:
    run(Destination("tar", str(tmp_path / "a.tar")))
    assert (tmp_path / "a.tar").read_bytes() == FILES
    assert os.listdir(tmp_path) == ["a.tar"]


def test_what_is_no_file_is_written_to_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "null"
    path.symlink_to("/dev/null")
    run(Destination("tar", str(path)))
    assert path.is_symlink()


def test_a_build_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_text("old")
    for destination in (Destination("tar", str(path)), Destination("local", str(tmp_path))):
        with pytest.raises(RunFailed, match="it failed"):
            run(destination, fails=True)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.tar"]


@pytest.mark.parametrize("kind", ["local", "tar"])
def test_a_disk_that_refuses(kind: str) -> None:
    destination = Destination("tar" if kind == "tar" else "local", "/proc/nowhere/x")
    with pytest.raises(SystemFailure, match="cannot write"):
        run(destination)
    with pytest.raises(SystemFailure, match="cannot write '/dev/full': No space left on device"):
        run(Destination("tar", "/dev/full"))
