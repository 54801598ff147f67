"""What the processes of containers printed, as it came, with the time of each piece; read line by line.

A log is a file of pieces: a header of channel, time and length, and so many bytes. A log that becomes too long keeps
its beginning and its end; nothing is ever taken away from one that is closed but with its container.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import BinaryIO, Literal, Self

from imagewright.store.disk import translated
from imagewright.store.values import LogLine

__all__ = ["LogWriter", "read_log"]

_Channel = Literal["stdout", "stderr"]

_HEADER = struct.Struct(">BqI")
_CHANNELS: tuple[_Channel, ...] = ("stdout", "stderr")
# The engine reads by so much, and tells a longer line in several pieces.
_LINE_LIMIT = 16 << 10
_BUFFER = 64 << 10
# Of what one container printed, in bytes of its log.
_LIMIT = 16 << 20
# A log is cut at so many places of its limit, where a piece begins.
_MARKS = 16


@dataclass(frozen=True, slots=True)
class _Mark:
    """The place `offset` of a log, before which `printed` bytes were printed."""

    offset: int = 0
    printed: int = 0


class LogWriter:
    """Writes a new log at `path`; `clock` gives nanoseconds since 1970. For one thread; to be closed.

    Of what needs more than about `limit` bytes the first and the last half are kept, and a line between that says how
    much is left out; until it is closed it may take twice that on the disk. What is written at once is to be much less.
    Raises `SystemFailure` where the disk does not take it.
    """

    def __init__(self, path: str, *, clock: Callable[[], int], limit: int = _LIMIT) -> None:
        self.path = path
        self._clock = clock
        self._limit = limit
        self._end = _Mark()
        self._marks = [self._end]
        with translated("cannot keep what a RUN prints"):
            self._file = open(path, "x+b", buffering=_BUFFER)  # noqa: SIM115 - closed by `close`

    def write(self, channel: _Channel, data: bytes) -> None:
        """Add what was printed on `channel`, as it came."""
        with translated("cannot keep what a RUN prints"):
            self._add(channel, data)
            self._end = replace(self._end, printed=self._end.printed + len(data))
            if self._end.offset - self._marks[-1].offset >= self._limit // _MARKS:
                self._marks.append(self._end)
            if self._end.offset > 2 * self._limit:
                self._shorten()

    def _add(self, channel: _Channel, data: bytes) -> None:
        self._file.write(_HEADER.pack(_CHANNELS.index(channel), self._clock(), len(data)))
        self._file.write(data)
        self._end = replace(self._end, offset=self._end.offset + _HEADER.size + len(data))

    def _shorten(self) -> None:
        """Leave only the first and the last half of the limit, and say between them what is missing."""
        half, end = self._limit // 2, self._end
        self._marks.append(end)
        head = next(number for number, mark in enumerate(self._marks) if mark.offset >= half)
        tail = next(mark for mark in self._marks[head:] if mark.offset >= end.offset - half)
        missing = tail.printed - self._marks[head].printed
        del self._marks[head + 1 :]
        self._end = self._marks[head]
        self._file.seek(self._end.offset)
        self._add("stderr", f"\n[{missing} bytes of output are left out here]\n".encode())
        moved = self._end.offset - tail.offset
        for start in range(tail.offset, end.offset, _BUFFER):
            self._file.seek(start)
            data = self._file.read(min(_BUFFER, end.offset - start))
            self._file.seek(start + moved)
            self._file.write(data)
        self._file.truncate()
        self._end = _Mark(end.offset + moved, end.printed)

    def close(self) -> None:
        """End the log; idempotent."""
        with translated("cannot keep what a RUN prints"):
            try:
                # With room for the line between what is kept and what is not.
                if not self._file.closed and self._end.offset > self._limit * 5 // 4:
                    self._shorten()
            finally:
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_log(path: str, *, tail: int | None = None) -> Iterator[LogLine]:
    """Return the lines of the log at `path`, or its last `tail` ones; none where there is no file.

    A line is dated with its end; one that is too long is told in pieces, and the last of a channel need not end. The
    file is opened at once, so that the lines can be read also if it is removed meanwhile. A piece that was cut, by the
    end of the machine, is the end.
    """
    with translated("cannot read a log"):
        try:
            file = open(path, "rb", buffering=_BUFFER)  # noqa: SIM115 - closed by who reads the lines
        except FileNotFoundError:
            return iter(())
    return _read(file, tail)


def _read(file: BinaryIO, tail: int | None) -> Iterator[LogLine]:
    with file, translated("cannot read a log"):
        if tail is not None:
            count = sum(1 for _ in _lines(file))
            file.seek(0)
            yield from islice(_lines(file), max(0, count - tail), None)
        else:
            yield from _lines(file)


def _lines(file: BinaryIO) -> Iterator[LogLine]:
    begun = dict.fromkeys(_CHANNELS, (0, b""))
    for channel, time_ns, data in _pieces(file):
        *whole, rest = (begun[channel][1] + data).split(b"\n")
        for line in whole:
            yield from _dated(channel, time_ns, line + b"\n")
        full = len(rest) - len(rest) % _LINE_LIMIT
        yield from _dated(channel, time_ns, rest[:full])
        begun[channel] = (time_ns, rest[full:])
    for channel, (time_ns, line) in begun.items():
        yield from _dated(channel, time_ns, line)


def _dated(channel: _Channel, time_ns: int, line: bytes) -> Iterator[LogLine]:
    for start in range(0, len(line), _LINE_LIMIT):
        yield LogLine(channel, time_ns, line[start : start + _LINE_LIMIT])


def _pieces(file: BinaryIO) -> Iterator[tuple[_Channel, int, bytes]]:
    while len(header := file.read(_HEADER.size)) == _HEADER.size:
        number, time_ns, size = _HEADER.unpack(header)
        if number >= len(_CHANNELS):
            return
        data = file.read(size)
        if len(data) < size:
            return
        yield _CHANNELS[number], time_ns, data
