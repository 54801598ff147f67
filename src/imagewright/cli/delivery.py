"""A build whose files go to a directory or into an archive."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import IO

from imagewright.archive import Writable
from imagewright.cli.destination import Destination
from imagewright.cli.display import Display
from imagewright.cli.extraction import extract
from imagewright.cli.target import FileBuilder
from imagewright.engine import BuildRequest
from imagewright.errors import SystemFailure

__all__ = ["deliver"]


def deliver(
    engine: FileBuilder, chunks: Iterator[bytes], request: BuildRequest, destination: Destination, display: Display
) -> None:
    """Build from the pieces of a tar, and write the image's files to `destination`, a directory or a tar.

    A directory keeps what it has; nothing is written to it before the build has ended well.
    """
    if destination.kind == "tar":
        with _archive(destination.path) as out:
            engine.build_files(chunks, request, display, _Checked(out, destination.path))
        return
    with _spool(destination.path) as spool:
        engine.build_files(chunks, request, display, _Checked(spool, destination.path))
        spool.seek(0)
        left_out = extract(spool, destination.path)
    if left_out:
        display.note(f"{left_out} device{'s' if left_out > 1 else ''} left out")


class _Checked:
    """Writes to `out`; what goes wrong is the disk's fault and not the engine's."""

    def __init__(self, out: Writable, path: str) -> None:
        self._out = out
        self._path = path

    def write(self, data: bytes, /) -> None:
        with _blaming(self._path):
            self._out.write(data)


@contextlib.contextmanager
def _spool(directory: str) -> Iterator[IO[bytes]]:
    """Give a file without a name; where the files go, there should be room for it."""
    try:
        os.makedirs(directory, exist_ok=True)
        spool = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - only opening it is tried
    except OSError as error:
        raise SystemFailure(f"cannot write to {directory!r}: {error.strerror}") from error
    with spool:
        yield spool


@contextlib.contextmanager
def _archive(path: str) -> Iterator[Writable]:
    """Give the file `path` to write to, `-` for standard output; a regular one appears once it is whole."""
    if path == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
    elif os.path.exists(path) and not os.path.isfile(path):
        with _blaming(path), open(path, "wb") as file:
            yield file
    else:
        with _blaming(path), _replacing(os.path.realpath(path)) as file:
            yield file


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[Writable]:
    directory, name = os.path.split(path)
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{name[:100]}.", delete=False) as file:
        try:
            yield file
            file.flush()
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), 0o666 & ~umask)
            os.rename(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


@contextlib.contextmanager
def _blaming(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SystemFailure(f"cannot write {path!r}: {error.strerror}") from error
