"""A file system of the run's own: no run meets what others have left on the disk, and nobody meets what it leaves.

On ext4, files that are made after as many were removed can take ten times as long; in a new file system nothing has
been removed.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Disk", "alone", "disk"]

_ALONE = "IMAGEWRIGHT_BENCH_ALONE"
_LARGEST = 400 << 30


@dataclass(frozen=True)
class Disk:
    """The directory `top`; `title` says what kind of file system it is on, `why` why it has none of its own."""

    top: Path
    title: str
    why: str = ""

    def detach(self) -> None:
        """Take the file system out of sight, so that nobody takes time to remove what goes with it anyway."""
        if not self.why:
            subprocess.run(["umount", "--lazy", self.top], stderr=subprocess.DEVNULL, check=False)


def alone() -> None:
    """Run this program again in a mount namespace of its own: what it mounts goes when it ends, however it ends."""
    if _ALONE not in os.environ and os.geteuid() == 0:
        command = ["unshare", "--mount", sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, _ALONE: "1"})  # noqa: S606 - no shell is wanted


@contextlib.contextmanager
def disk(parent: str | None) -> Iterator[Disk]:
    """Make a file system in a sparse file below `parent` until the block ends; a directory where that cannot be done.

    The file has no name from the moment it is mounted, so that it is gone with the last process that works in it.
    """
    directory = tempfile.mkdtemp(prefix="iwbench-", dir=parent)
    top = Path(directory, "d")
    top.mkdir()
    try:
        why = _mount(Path(directory, "disk"), top)
        if why:
            yield Disk(top, f"{_kind(top)}, shared with everything else ({why})", why)
        else:
            made = Disk(top, f"ext4 of its own on a loop device, in a file on {_kind(Path(directory))}")
            try:
                yield made
            finally:
                made.detach()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _mount(file: Path, top: Path) -> str:
    """Mount a new file system at `top`; return why that was not possible."""
    if _ALONE not in os.environ:
        return "not root"
    size = min(int(shutil.disk_usage(file.parent).free * 0.9), _LARGEST)
    with file.open("wb") as new:
        new.truncate(size)
    device = ""
    try:
        _run("mkfs.ext4", "-q", "-F", "-m", "0", str(file))
        # Without the cache of the file below, which would keep everything twice.
        device = _run("losetup", "--find", "--show", "--direct-io=on", str(file)).strip()
        _run("mount", device, str(top))
    except (OSError, RuntimeError) as error:
        return str(error).strip().splitlines()[-1]
    finally:
        # A detached device goes with its last user, which is the mount.
        if device:
            subprocess.run(["losetup", "--detach", device], check=False)
        file.unlink()
    return ""


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr or f"{command[0]} failed")
    return done.stdout


def _kind(path: Path) -> str:
    """Return the type of the file system that `path` is on."""
    return _run("stat", "--file-system", "--format=%T", str(path)).strip().replace("ext2/ext3", "ext4")
