"""What the processes of containers printed, line by line, with the time of each.

A log is a file of entries: a header of channel, time and length, and so many bytes. Lines keep their ends; one that is
too long is told in pieces, and the last need not end. Nothing is ever taken away from a log but with its container.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from types import TracebackType
from typing import BinaryIO, Literal, Self

from imagewright.store.disk import translated
from imagewright.store.values import LogLine

__all__ = ["LogWriter", "read_log"]

_HEADER = struct.Struct(">BqI")
_CHANNELS: tuple[Literal["stdout", "stderr"], ...] = ("stdout", "stderr")
# The engine reads by so much, and tells a longer line in several pieces.
_PIECE = 16 << 10
_BUFFER = 64 << 10


class LogWriter:
    """Writes a new log at `path`; `clock` gives nanoseconds since 1970. For one thread; to be closed.

    Raises `SystemFailure` where the disk does not take it.
    """

    def __init__(self, path: str, *, clock: Callable[[], int]) -> None:
        self.path = path
        self._clock = clock
        self._begun = dict.fromkeys(_CHANNELS, b"")
        with translated("cannot keep what a RUN prints"):
            self._file = open(path, "xb", buffering=_BUFFER)  # noqa: SIM115 - closed by `close`

    def write(self, channel: Literal["stdout", "stderr"], data: bytes) -> None:
        """Add what was printed on `channel`, as it came; a line is written when its end has come."""
        now_ns = self._clock()
        lines = _split(self._begun[channel] + data)
        self._begun[channel] = b""
        if lines and not lines[-1].endswith(b"\n") and len(lines[-1]) < _PIECE:
            self._begun[channel] = lines.pop()
        for line in lines:
            self._put(channel, now_ns, line)

    def close(self) -> None:
        """Write the lines that have no end; idempotent."""
        if self._file.closed:
            return
        now_ns = self._clock()
        for channel, line in self._begun.items():
            if line:
                self._put(channel, now_ns, line)
        with translated("cannot keep what a RUN prints"):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _put(self, channel: Literal["stdout", "stderr"], now_ns: int, line: bytes) -> None:
        with translated("cannot keep what a RUN prints"):
            for start in range(0, len(line), _PIECE):
                piece = line[start : start + _PIECE]
                self._file.write(_HEADER.pack(_CHANNELS.index(channel), now_ns, len(piece)))
                self._file.write(piece)


def _split(data: bytes) -> list[bytes]:
    """Split at line feeds alone."""
    *whole, rest = data.split(b"\n")
    return [*(line + b"\n" for line in whole), *([rest] if rest else [])]


def read_log(path: str, *, tail: int | None = None) -> Iterator[LogLine]:
    """Return the lines of the log at `path`, or its last `tail` ones; none where there is no file.

    The file is opened at once, so that the lines can be read also if it is removed meanwhile. An entry that was cut by
    the end of the machine is the end.
    """
    if not os.path.lexists(path):
        return iter(())
    with translated("cannot read a log"):
        return _lines(open(path, "rb", buffering=_BUFFER), tail)


def _lines(file: BinaryIO, tail: int | None) -> Iterator[LogLine]:
    with file, translated("cannot read a log"):
        if tail is not None:
            count = sum(1 for _ in _entries(file, os.fstat(file.fileno()).st_size))
            file.seek(0)
            for _ in islice(_entries(file, sys.maxsize), max(0, count - tail)):
                pass
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            channel, time_ns, size = _HEADER.unpack(header)
            data = file.read(size)
            if len(data) < size or channel >= len(_CHANNELS):
                return
            yield LogLine(_CHANNELS[channel], time_ns, data)


def _entries(file: BinaryIO, end: int) -> Iterator[None]:
    """Pass over one whole entry after the other, as far as `end`."""
    at = file.tell()
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        at += _HEADER.size + _HEADER.unpack(header)[2]
        if at > end:
            return
        file.seek(at)
        yield None
