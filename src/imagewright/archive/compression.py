"""Taking compression off a stream, whatever it is."""

from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.stream import Readable

__all__ = ["decompress"]


def decompress(stream: Readable, *, limits: Limits = DEFAULT_LIMITS) -> Readable:
    """Return `stream` without its compression: gzip, bzip2, xz or zstd, known by its first bytes, or none.

    One layer of compression is taken off, in this process and in bounded memory. Reads a few bytes at once, the rest
    as it is read. Reading raises `InvalidInput` where the data is cut ("unexpected EOF"), damaged, needs too much
    memory, or grows beyond `limits.ratio`. `stream` is not closed.
    """
    raise NotImplementedError
