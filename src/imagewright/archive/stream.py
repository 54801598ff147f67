"""What the archive code reads from and writes to."""

from typing import Protocol

__all__ = ["CHUNK", "Readable", "Writable"]

CHUNK = 1 << 20
"""How many bytes are asked for or handed on at a time."""


class Readable(Protocol):
    """A stream of bytes, read once, from its beginning to its end."""

    def read(self, n: int, /) -> bytes:
        """Return at least one and at most `n` bytes, or `b""` at the end; blocks until then."""
        ...


class Writable(Protocol):
    """Somewhere to put bytes, in order."""

    def write(self, data: bytes, /) -> object:
        """Take all of `data`; what is returned means nothing."""
        ...
