"""A stream read in blocks, with a position."""

from collections.abc import Iterator

from imagewright.archive.header import BLOCK
from imagewright.archive.limits import Limits
from imagewright.archive.stream import CHUNK, Readable
from imagewright.errors import InvalidInput

__all__ = ["Blocks", "cut"]


def cut() -> InvalidInput:
    """Return the error for a stream that ends too early, in the engine's words."""
    return InvalidInput("unexpected EOF")


class Blocks:
    """Reads `stream` in large pieces and hands it out in small ones; `limits.unpacked` bytes at most.

    `charge` counts bytes that the stream stands for without having them (holes) against the same limit.
    """

    __slots__ = ("_at", "_base", "_buffer", "_charged", "_limits", "_stream", "_view")

    def __init__(self, stream: Readable, limits: Limits) -> None:
        self._stream = stream
        self._limits = limits
        self._buffer = b""
        self._view = memoryview(b"")
        self._at = 0
        self._base = 0  # where in the stream the buffer begins
        self._charged = 0

    @property
    def offset(self) -> int:
        """How many bytes of the stream have been handed out or skipped."""
        return self._base + self._at

    def block(self) -> bytes | None:
        """Return the next block, or None at the end of the stream; raises `InvalidInput` within a block."""
        start = self._at
        end = start + BLOCK
        while end > len(self._buffer):
            if not self._more():
                if self._at < len(self._buffer):
                    raise cut()
                return None
            start = self._at
            end = start + BLOCK
        self._at = end
        return self._buffer[start:end]

    def take(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        start = self._at
        if start + size <= len(self._buffer):
            self._at = start + size
            return self._buffer[start : self._at]
        return b"".join(self.pieces(size))

    def whole(self, size: int) -> memoryview | None:
        """Return exactly `size` bytes if they have all come already; they stay valid."""
        start = self._at
        end = start + size
        if end > len(self._buffer):
            return None
        self._at = end
        return self._view[start:end]

    def pieces(self, size: int) -> Iterator[memoryview]:
        """Yield exactly `size` bytes in pieces; each stays valid."""
        while size:
            start = self._at
            have = len(self._buffer) - start
            if not have:
                if not self._more():
                    raise cut()
                continue
            self._at = start + min(size, have)
            size -= self._at - start
            yield self._view[start : self._at]

    def skip_to(self, offset: int) -> bool:
        """Go forward to `offset` in the stream; return False if it ends before."""
        target = offset - self._base
        while target > len(self._buffer):
            self._at = len(self._buffer)
            if not self._more():
                return False
            target = offset - self._base
        self._at = target
        return True

    def drain(self) -> None:
        """Read the stream to its end."""
        self._at = len(self._buffer)
        while self._more():
            self._at = len(self._buffer)

    def charge(self, size: int) -> None:
        """Count `size` bytes of holes; raises `InvalidInput` if the archive unpacks to too much with them."""
        self._charged += size
        self._check_size()
        limits = self._limits
        if self._charged > limits.ratio_after and self._charged > limits.ratio * (self._base + len(self._buffer)):
            raise InvalidInput(f"the archive unpacks to more than {limits.ratio} times its size")

    def _more(self) -> bool:
        """Add what the stream has next to what is left in the buffer; return False at its end."""
        data = self._stream.read(CHUNK)
        if not data:
            return False
        rest = self._buffer[self._at :]
        self._base += self._at
        self._at = 0
        self._buffer = rest + data if rest else data
        self._view = memoryview(self._buffer)
        self._check_size()
        return True

    def _check_size(self) -> None:
        if self._base + len(self._buffer) + self._charged > self._limits.unpacked:
            raise InvalidInput(f"the archive is larger than {self._limits.unpacked} bytes unpacked")
