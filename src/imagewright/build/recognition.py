"""Whether a context that is being sent was sent before."""

import os
from types import TracebackType
from typing import BinaryIO, Self

from imagewright.archive import CHUNK, Follower, Readable, Spool
from imagewright.build.known_contexts import KnownContext, Recording

__all__ = ["Recognition"]


class Recognition:
    """Reads `stream` for as long as it may be one of `candidates`, keeping what it read in the file `path`.

    `known` is the one that it is; then all of it has been read and is in the file. If it is none, this is the stream
    to read, from the beginning. A context manager.
    """

    def __init__(self, stream: Readable, path: str, candidates: list[KnownContext]) -> None:
        self._stream = stream
        self._recording = Recording()
        self._ended = False
        self._blocks: tuple[bytes, ...] | None = None
        self._kept: BinaryIO | None = None
        # What remains of the stream is recorded beside its being read.
        self._follower = Follower(self._recording.feed)
        self.known: KnownContext | None = self._compare(path, candidates) if candidates else None

    def blocks(self) -> tuple[bytes, ...] | None:
        """Return the digests of all that there was to read; None if it was not read to its end, or is too large."""
        return self._blocks if self._ended else None

    def read(self, n: int, /) -> bytes:
        """Return at least one and at most `n` bytes, or `b""` at the end."""
        if self._kept is not None:
            data = self._kept.read(n)
            if data:
                return data
            self._kept.close()
            self._kept = None
        if self._ended:
            return b""
        data = self._stream.read(n)
        if data:
            self._follower.feed(data)
        else:
            self._follower.finish()
            self._end()
        return data

    def _compare(self, path: str, candidates: list[KnownContext]) -> KnownContext | None:
        with Spool(path, keeping="the build context") as spool, Follower(spool.write) as follower:
            while candidates:
                piece = self._stream.read(CHUNK)
                if not piece:
                    self._end()
                    break
                follower.feed(piece)
                compared = len(self._recording.blocks)
                self._recording.feed(piece)
                for count in range(compared + 1, len(self._recording.blocks) + 1):
                    candidates = [known for known in candidates if known.begins_with(self._recording.blocks[:count])]
        for known in candidates:
            if known.blocks == self._blocks:
                return known
        self._kept = open(path, "rb")  # noqa: SIM115 - closed when it has been read, or at the end
        os.unlink(path)
        return None

    def _end(self) -> None:
        self._ended = True
        self._blocks = self._recording.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._kept is not None:
            self._kept.close()
        self._follower.__exit__(kind, error, trace)
