import bz2
import gzip
import lzma
import os
import time
from collections.abc import Callable

import pytest
from backports import zstd

from imagewright.archive import Limits, decompress
from imagewright.archive import compression as module
from imagewright.archive.stream import Readable
from imagewright.errors import InvalidInput
from unit.archive.raw_tar import END, Stream, member

CODECS: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstd.compress,
}
COMPRESSED = [name for name in CODECS if name != "identity"]
codec = pytest.mark.parametrize("compress", CODECS.values(), ids=CODECS)
real_codec = pytest.mark.parametrize("compress", [CODECS[name] for name in COMPRESSED], ids=COMPRESSED)


def read_all(stream: Readable, n: int = 1 << 20) -> bytes:
    data = b""
    while piece := stream.read(n):
        assert len(piece) <= n
        data += piece
    assert stream.read(n) == b""
    return data


@codec
@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_takes_off_what_is_there(compress: Callable[[bytes], bytes], step: int) -> None:
    data = os.urandom(3000) + bytes(3000)
    assert read_all(decompress(Stream(compress(data), step)), 1000) == data


@codec
def test_takes_an_empty_content(compress: Callable[[bytes], bytes]) -> None:
    assert read_all(decompress(Stream(compress(b"")))) == b""


@real_codec
def test_reads_members_that_follow_each_other_as_one(compress: Callable[[bytes], bytes]) -> None:
    assert read_all(decompress(Stream(compress(b"one") + compress(b"") + compress(b"two")))) == b"onetwo"


@real_codec
def test_takes_off_one_layer_only(compress: Callable[[bytes], bytes]) -> None:
    inner = compress(b"x")
    assert read_all(decompress(Stream(compress(inner)))) == inner


@real_codec
def test_passes_over_zeros_at_the_end(compress: Callable[[bytes], bytes]) -> None:
    assert read_all(decompress(Stream(compress(b"x") + bytes(200_000), 5000))) == b"x"


@real_codec
def test_refuses_other_things_at_the_end(compress: Callable[[bytes], bytes]) -> None:
    with pytest.raises(InvalidInput):
        read_all(decompress(Stream(compress(b"x") + b"This is not a member of anything")))


@real_codec
def test_a_stream_cut_anywhere_ends_unexpectedly(compress: Callable[[bytes], bytes]) -> None:
    whole = compress(b"some text that is not short " * 3)
    for end in range(10, len(whole)):
        with pytest.raises(InvalidInput, match=r"^unexpected EOF$"):
            read_all(decompress(Stream(whole[:end])))


def zstd_with_checksum(data: bytes) -> bytes:
    return zstd.compress(data, options={zstd.CompressionParameter.checksum_flag: 1})


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress, zstd_with_checksum])
def test_damage_is_noticed(compress: Callable[[bytes], bytes]) -> None:
    whole = bytearray(compress(os.urandom(5000)))
    whole[len(whole) // 2] ^= 0x55
    with pytest.raises(InvalidInput):
        read_all(decompress(Stream(bytes(whole))))


def test_the_reason_names_the_compression() -> None:
    whole = bytearray(gzip.compress(b"abc"))
    whole[-8] ^= 1
    with pytest.raises(InvalidInput, match=r"^gzip: "):
        read_all(decompress(Stream(bytes(whole))))


@pytest.mark.parametrize("name", [b"BZhello", b"BZh9", b"(x", b"\x1f\x8b.txt"])
def test_a_tar_whose_first_name_looks_compressed_is_a_tar(name: bytes) -> None:
    tar = member(name) + END
    assert read_all(decompress(Stream(tar))) == tar


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\x1f\x8b", b"BZh91AY&S", b"\x28\xb5\x2f", b"\xfd7zXZ"])
def test_less_than_a_magic_number_is_left_as_it_is(data: bytes) -> None:
    assert read_all(decompress(Stream(data, 1))) == data


def test_a_skippable_frame_may_come_first() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert read_all(decompress(Stream(skippable + zstd.compress(b"x") + skippable))) == b"x"


def test_a_bomb_is_stopped() -> None:
    bomb = bz2.compress(bytes(30 << 20))
    limits = Limits(ratio=100, ratio_after=1 << 20)
    stream = decompress(Stream(bomb), limits=limits)
    with pytest.raises(InvalidInput, match="100 times"):
        read_all(stream)


def test_a_small_content_may_be_compressed_well() -> None:
    assert len(read_all(decompress(Stream(bz2.compress(bytes(1 << 20))), limits=Limits(ratio=100)))) == 1 << 20


def test_xz_that_wants_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_XZ_MEMORY", 1 << 20)
    with pytest.raises(InvalidInput, match=r"^xz: Memory usage limit"):
        read_all(decompress(Stream(lzma.compress(b"x"))))


def test_zstd_with_too_large_a_window_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 22})
    data = compressor.compress(os.urandom(100)) + compressor.flush()
    assert len(read_all(decompress(Stream(data)))) == 100
    monkeypatch.setattr(module, "_ZSTD_WINDOW_LOG", 20)
    with pytest.raises(InvalidInput, match=r"^zstd: "):
        read_all(decompress(Stream(data)))


@real_codec
def test_many_tiny_members_take_linear_time(compress: Callable[[bytes], bytes]) -> None:
    began = time.perf_counter()
    assert read_all(decompress(Stream(compress(b"x") * 4000))) == b"x" * 4000
    assert time.perf_counter() - began < 5
