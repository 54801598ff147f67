"""Taking compression off a stream, whatever it is."""

import bz2
import lzma
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, cast

from backports import zstd
from isal import igzip_lib

from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.stream import CHUNK, Readable
from imagewright.errors import InvalidInput

__all__ = ["decompress"]

_XZ_MEMORY = 128 << 20
_ZSTD_WINDOW_LOG = 27

# A decoder copies what follows the end of its member. Given little at a time it copies little, so that an archive of
# a million tiny members costs no more than its length.
_PIECE = 1 << 16


class _Decoder(Protocol):
    """What the decoders of the standard library, isal and zstd have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /, max_length: int = -1) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Codec:
    """A compression: how it begins, how it is taken off, what its decoder raises."""

    name: str
    magic: re.Pattern[bytes]
    open: Callable[[], _Decoder]
    error: type[Exception]


def _gzip() -> _Decoder:
    decoder: _Decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
    return decoder


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


# isal's stubs call its exception class an exception.
_ISAL_ERROR = cast("type[Exception]", igzip_lib.IsalError)

# The first bytes: RFC 1952 section 2.3.1; bzip2's header with its first block's or its end's magic number (three
# letters alone would take a tar for bzip2 whose first member has a name that begins with them); the xz file format,
# section 2.1.1.1; RFC 8878 sections 3.1.1 and 3.1.2 (skippable frames).
_CODECS = (
    _Codec("gzip", re.compile(rb"\x1f\x8b\x08"), _gzip, _ISAL_ERROR),
    _Codec(
        "bzip2",
        re.compile(rb"BZh[1-9](?:\x31\x41\x59\x26\x53\x59|\x17\x72\x45\x38\x50\x90)"),
        bz2.BZ2Decompressor,
        OSError,
    ),
    _Codec("xz", re.compile(rb"\xfd7zXZ\x00"), _xz, lzma.LZMAError),
    _Codec("zstd", re.compile(rb"(?s:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)"), _zstd, zstd.ZstdError),
)
_LONGEST_MAGIC = 10


def decompress(stream: Readable, *, limits: Limits = DEFAULT_LIMITS) -> Readable:
    """Return `stream` without its compression: gzip, bzip2, xz or zstd, known by its first bytes, or none.

    One layer of compression is taken off, in this process and in bounded memory; members that follow each other are
    read as one. Reads the beginning at once, the rest as it is read. Reading raises `InvalidInput` where the data is
    cut ("unexpected EOF"), damaged, needs too much memory, or grows beyond `limits.ratio`. `stream` is not closed.
    """
    head = stream.read(CHUNK)
    while head and len(head) < _LONGEST_MAGIC:
        more = stream.read(CHUNK)
        if not more:
            break
        head += more
    for codec in _CODECS:
        if codec.magic.match(head):
            return _Decompressed(stream, head, codec, limits)
    return _Resumed(stream, head)


class _Resumed:
    """A stream of which `head` has been read already."""

    def __init__(self, stream: Readable, head: bytes) -> None:
        self._stream = stream
        self._head = head

    def read(self, n: int, /) -> bytes:
        if self._head:
            data, self._head = self._head[:n], self._head[n:]
            return data
        return self._stream.read(n)


class _Decompressed:
    """A stream behind a decoder."""

    def __init__(self, stream: Readable, head: bytes, codec: _Codec, limits: Limits) -> None:
        self._stream = stream
        self._codec = codec
        self._limits = limits
        self._decoder: _Decoder | None = codec.open()
        self._piece = b""  # to be given to the decoder before
        self._input = memoryview(head)
        self._consumed = len(head)
        self._produced = 0

    def read(self, n: int, /) -> bytes:
        while self._decoder is not None:
            if self._decoder.eof:
                self._begin_member(self._decoder.unused_data)
                continue
            data = self._decode(self._decoder, n)
            if data:
                self._produced += len(data)
                self._check_ratio()
                return data
        return b""

    def _decode(self, decoder: _Decoder, n: int) -> bytes:
        """Return up to `n` bytes, perhaps none yet."""
        piece = b""
        if decoder.needs_input:
            piece = self._next_piece()
            if not piece:
                raise InvalidInput("unexpected EOF")
        try:
            return decoder.decompress(piece, max_length=n)
        except self._codec.error as error:
            raise InvalidInput(f"{self._codec.name}: {_reason(error)}") from error

    def _begin_member(self, rest: bytes) -> None:
        """Go on with the member after `rest`, or end; zeros between members and after the last are padding."""
        self._decoder = None
        rest = rest.lstrip(b"\0")
        while not rest:
            rest = self._next_piece()
            if not rest:
                return
            rest = rest.lstrip(b"\0")
        self._piece = rest
        self._decoder = self._codec.open()

    def _next_piece(self) -> bytes:
        """Return some compressed bytes, none at the end."""
        piece, self._piece = self._piece, b""
        if not piece:
            if not self._input:
                data = self._stream.read(CHUNK)
                self._consumed += len(data)
                self._input = memoryview(data)
            piece = bytes(self._input[:_PIECE])
            self._input = self._input[_PIECE:]
        return piece

    def _check_ratio(self) -> None:
        limits = self._limits
        if self._produced > limits.ratio_after and self._produced > limits.ratio * self._consumed:
            raise InvalidInput(f"the archive unpacks to more than {limits.ratio} times its size")


def _reason(error: Exception) -> str:
    """Return why a decoder gave up, in its words."""
    return str(error).rstrip(".") or "damaged data"
