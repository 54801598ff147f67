"""Files and directories that are there whole or not at all, also after a power cut."""

import ctypes
import os
import secrets
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress

from imagewright.errors import SystemFailure

__all__ = [
    "move",
    "removal",
    "remove_tree",
    "reserve",
    "sync_directory",
    "sync_filesystem",
    "translated",
    "write_file",
    "write_whole",
]

_libc = ctypes.CDLL(None, use_errno=True)
_KEEP_SIZE = 1  # FALLOC_FL_KEEP_SIZE of fallocate(2)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn an `OSError` into a `SystemFailure` that says what went wrong while `doing`, and names no path."""
    try:
        yield
    except OSError as error:
        raise SystemFailure(f"{doing}: {error.strerror or 'input/output error'}") from error


def write_file(path: str, data: bytes) -> None:
    """Write `data` to a new file at `path`, and return once it is on the disk."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_whole(fd: int, data: bytes) -> None:
    """Write all of `data` to the descriptor `fd`, where it stands."""
    written = os.write(fd, data)
    while written < len(data):  # a signal or a full disk cut it short; the next try says which
        written += os.write(fd, memoryview(data)[written:])


def reserve(path: str, size: int) -> None:
    """Give the file at `path` room for `size` bytes on the disk, and leave its size; nothing happens if there is none.

    So too where the filesystem cannot do that.
    """
    with suppress(OSError), open(path, "r+b", buffering=0) as file:
        _libc.fallocate(file.fileno(), _KEEP_SIZE, ctypes.c_long(0), ctypes.c_long(size))


def sync_directory(path: str) -> None:
    """Return once the names in the directory `path` are on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystem(path: str) -> None:
    """Return once everything written so far on the filesystem that holds the directory `path` is on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _libc.syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
    finally:
        os.close(fd)


def move(source: str, destination: str) -> None:
    """Give what is at `source` (and on the disk) the name `destination`, atomically; return once that is on the disk.

    A file at `destination` is replaced; a directory there must be empty.
    """
    os.rename(source, destination)
    sync_directory(os.path.dirname(destination))


def remove_tree(path: str) -> None:
    """Remove the file or directory `path` with all that is in it, if it is there; links are never followed.

    Directories are moved up beside `path` before they are emptied, so that neither depth nor long paths matter.
    """
    for _ in removal(path):
        pass


def removal(path: str) -> Generator[None, None, None]:
    """Do what `remove_tree` does piece by piece: yield about once for each file or directory that is gone.

    What is left when the generator is closed is `path`, or begins with its name and is beside it.
    """
    parent, name = os.path.split(path)
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if not _unlink(name, fd):
            return
        pending = [name]
        count = 0
        # Not a name that an earlier call has left there, which did not come to its end; nor ever longer ones.
        lifting = f"{name[:100]}.{secrets.token_hex(4)}"
        while pending:
            directory = pending.pop()
            for inner in _empty(directory, fd):
                if inner:
                    count += 1
                    lifted = f"{lifting}.{count}"
                    os.rename(f"{directory}/{inner}", lifted, src_dir_fd=fd, dst_dir_fd=fd)
                    pending.append(lifted)
                yield
            os.rmdir(directory, dir_fd=fd)
    finally:
        os.close(fd)


def _empty(directory: str, parent_fd: int) -> Iterator[str]:
    """Unlink what is no directory in `directory`, or an empty one; yield the name of each that is left, "" for others.

    Whoever takes a name moves it away.
    """
    if os.geteuid() != 0:
        # Only root empties a directory that forbids it.
        os.chmod(directory, stat.S_IRWXU, dir_fd=parent_fd)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
    try:
        for name in os.listdir(fd):
            yield name if _unlink(name, fd) else ""
    finally:
        os.close(fd)


def _unlink(name: str, fd: int) -> bool:
    """Remove `name` in the directory `fd` if one call can; return whether it is a directory with more in it."""
    try:
        mode = os.lstat(name, dir_fd=fd).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISDIR(mode):
        os.unlink(name, dir_fd=fd)
        return False
    try:
        os.rmdir(name, dir_fd=fd)
    except OSError:
        return True
    return False
