"""Files of an image, written into a directory of whoever asked for them.

The archive is not trusted: nothing is written outside the directory or through a link, what is written belongs to who
runs this, and there are no devices, privileges of files or extended attributes.
"""

import contextlib
import os

from imagewright.archive import Entry, Readable, read_entries
from imagewright.errors import InvalidInput, SystemFailure
from imagewright.sandbox.descent import Descent

__all__ = ["extract"]

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_KEPT_MODE = 0o1777


def extract(stream: Readable, directory: str) -> int:
    """Write the files in the tar `stream` into `directory`, made if it is missing; return how many were left out.

    Those are devices. What is there already stays, but for files of the same names, which are replaced. Not atomic.
    Raises `InvalidInput` for an archive that leads elsewhere, and where a directory would take the place of a file or
    the reverse, and `SystemFailure` if the disk refuses.
    """
    path = ""
    try:
        os.makedirs(directory, exist_ok=True)
        with Descent(os.path.realpath(directory)) as descent:
            extraction = _Extraction(descent)
            for entry in read_entries(stream):
                path = entry.path
                extraction.write(entry)
            extraction.finish()
            return extraction.left_out
    except (NotADirectoryError, IsADirectoryError, FileExistsError) as error:
        raise InvalidInput(
            f"cannot write {path!r}: something else is in its place, and nothing is written through links"
        ) from error
    except OSError as error:
        raise SystemFailure(f"cannot write {path!r}: {os.strerror(error.errno or 0)}") from error


class _Extraction:
    """Writes one member after the other; directories get their mode and time at the end."""

    def __init__(self, descent: Descent) -> None:
        self.left_out = 0
        self._descent = descent
        self._here: tuple[str, ...] = ()
        self._directories: dict[tuple[str, ...], Entry] = {}
        self._files: set[tuple[str, ...]] = set()

    def write(self, entry: Entry) -> None:
        """Write one member."""
        names = _names(entry.path)
        if entry.kind == "directory":
            self._go_to(names)
            if names:
                self._directories[names] = entry
            return
        if not names:
            raise InvalidInput(f"the archive has no name for a {entry.kind}")
        if entry.kind in {"character", "block"}:
            self.left_out += 1
            return
        self._go_to(names[:-1])
        self._make_room(names[-1])
        match entry.kind:
            case "file":
                self._write_file(names[-1], entry)
                self._files.add(names)
            case "symlink":
                os.symlink(entry.link, names[-1], dir_fd=self._descent.here)
                self._set_time(names[-1], entry)
            case "fifo":
                os.mkfifo(names[-1], entry.mode & 0o777, dir_fd=self._descent.here)
                self._set_time(names[-1], entry)
            case "link":
                self._link(_names(entry.link), names[-1])

    def finish(self) -> None:
        """Give the directories their modes and times, the innermost first."""
        for names in sorted(self._directories, key=len, reverse=True):
            entry = self._directories[names]
            descriptor = self._descent.open(names)
            try:
                os.fchmod(descriptor, entry.mode & _KEPT_MODE)
                os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
            finally:
                os.close(descriptor)

    def _write_file(self, name: str, entry: Entry) -> None:
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=self._descent.here)
        with open(descriptor, "wb", buffering=0) as file:
            for piece in entry.pieces():
                rest = memoryview(piece)
                while rest:
                    rest = rest[file.write(rest) :]
            os.fchmod(descriptor, entry.mode & _KEPT_MODE)
            os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))

    def _link(self, source: tuple[str, ...], name: str) -> None:
        # What was there before, perhaps elsewhere on this machine, is none of the archive's.
        if source not in self._files:
            raise InvalidInput(f"the archive links to {'/'.join(source)!r}, which is no file in it")
        descriptor = self._descent.open(source[:-1])
        try:
            os.link(source[-1], name, src_dir_fd=descriptor, dst_dir_fd=self._descent.here, follow_symlinks=False)
        finally:
            os.close(descriptor)

    def _set_time(self, name: str, entry: Entry) -> None:
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=self._descent.here, follow_symlinks=False)

    def _make_room(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._descent.here)

    def _go_to(self, names: tuple[str, ...]) -> None:
        """Go to a directory, making those that are missing."""
        while self._here != names[: len(self._here)]:
            self._descent.leave()
            self._here = self._here[:-1]
        for name in names[len(self._here) :]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=self._descent.here)
            self._descent.enter(name)
            self._here = (*self._here, name)


def _names(path: str) -> tuple[str, ...]:
    """Return the names in `path`, none for the root; raise `InvalidInput` for a path that leads elsewhere."""
    names = tuple(name for name in path.split("/") if name not in {"", "."})
    if ".." in names or any("\0" in name for name in names):
        raise InvalidInput(f"the archive leads out of its directory: {path!r}")
    return names
