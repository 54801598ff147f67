"""Putting compression on a stream, block by block, on several threads."""

import struct
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Literal, get_args

from backports import zstd
from isal import isal_zlib

from imagewright.archive.stream import Writable

__all__ = ["COMPRESSIONS", "Compression", "Packer"]

Compression = Literal["gzip", "zstd"]
"""How a layer may be compressed on its way to a registry."""

COMPRESSIONS: tuple[Compression, ...] = get_args(Compression)

_GZIP_LEVEL = 1
_ZSTD_LEVEL = 3
_RAW = -15
# RFC 1952 section 2.3: no name and no time; fastest algorithm, unknown system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
# Blocks of one stream that are compressed or wait to be written; bounds the memory.
_UNDERWAY = 4


@dataclass(frozen=True, slots=True)
class _Format:
    """`pack` compresses one block, told whether it is the last; blocks depend on nothing before them."""

    block: int
    header: bytes
    pack: Callable[[bytes, bool], bytes]
    trailed: bool


def _deflate(data: bytes, last: bool) -> bytes:  # noqa: FBT001 - both formats are called alike
    """Return a part of one deflate stream that ends at a byte, as RFC 1951 section 3.2.4 lets an empty block do."""
    compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _RAW)
    return compressor.compress(data) + compressor.flush(isal_zlib.Z_FINISH if last else isal_zlib.Z_SYNC_FLUSH)


def _frame(data: bytes, _last: bool) -> bytes:  # noqa: FBT001 - the same
    """Return a frame of its own: frames that follow each other are one stream (RFC 8878 section 3)."""
    return zstd.compress(data, _ZSTD_LEVEL)


_FORMATS: Mapping[Compression, _Format] = {
    # Larger blocks are packed hardly faster, and the C library keeps several times their memory for every thread.
    "gzip": _Format(128 << 10, _GZIP_HEADER, _deflate, trailed=True),
    "zstd": _Format(1 << 20, b"", _frame, trailed=False),
}


class Packer:
    """Compresses what is written into `out`, with the threads of `pool`.

    zstd gives the same bytes each time, however many threads. gzip nearly: now and then isal gives two bytes each
    other's codes, which are as long and mean the same to who unpacks, so a layer is known by what is in it.
    To be used by one thread, which writes to `out`; whoever made `pool` ends it. Nothing is complete before `finish`.
    """

    def __init__(self, out: Writable, compression: Compression, pool: Executor) -> None:
        self._out = out
        self._pool = pool
        self._format = _FORMATS[compression]
        self._rest = bytearray()
        self._underway: deque[Future[bytes]] = deque()
        self._crc = 0
        self._size = 0
        out.write(self._format.header)

    def write(self, data: bytes, /) -> None:
        """Take all of `data`; raises what `out` does."""
        if self._format.trailed:
            self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        self._rest += data
        block = self._format.block
        while len(self._rest) > block:
            self._begin(bytes(memoryview(self._rest)[:block]), last=False)
            del self._rest[:block]

    def finish(self) -> None:
        """Write what is left; once."""
        self._begin(bytes(self._rest), last=True)
        while self._underway:
            self._take()
        if self._format.trailed:
            self._out.write(struct.pack("<II", self._crc, self._size & 0xFFFFFFFF))

    def _begin(self, data: bytes, *, last: bool) -> None:
        while len(self._underway) >= _UNDERWAY:
            self._take()
        self._underway.append(self._pool.submit(self._format.pack, data, last))

    def _take(self) -> None:
        self._out.write(self._underway.popleft().result())
