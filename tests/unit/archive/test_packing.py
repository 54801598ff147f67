import io
import random
import zlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor

import pytest

from imagewright.archive import CHUNK, COMPRESSIONS, Compression, Packer, decompress

_MAGIC = {"gzip": b"\x1f\x8b\x08", "zstd": b"\x28\xb5\x2f\xfd"}
# Around the sizes of blocks, which end at 128 KiB and at 1 MiB.
_SIZES = [0, 1, 100_000, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 1 << 20, (1 << 20) + 1, 5_000_000]


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


@pytest.fixture(scope="module")
def data() -> bytes:
    source = random.Random(1)  # noqa: S311 - the same in each run
    return b"".join(source.randbytes(1000) + bytes(1000) for _ in range(2500))


def pack(data: bytes, compression: Compression, pool: Executor, *, piece: int = CHUNK) -> bytes:
    out = io.BytesIO()
    packer = Packer(out, compression, pool)
    for start in range(0, len(data), piece):
        packer.write(data[start : start + piece])
    packer.finish()
    return out.getvalue()


@pytest.mark.parametrize("size", _SIZES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_is_packed_can_be_unpacked(pool: Executor, data: bytes, compression: Compression, size: int) -> None:
    packed = pack(data[:size], compression, pool)
    assert packed.startswith(_MAGIC[compression])
    unpacked = decompress(io.BytesIO(packed))
    assert b"".join(iter(lambda: unpacked.read(CHUNK), b"")) == data[:size]
    if compression == "gzip":
        # All is in one member, for those who read no other.
        member = zlib.decompressobj(31)
        assert member.decompress(packed) == data[:size]
        assert (member.eof, member.unused_data) == (True, b"")


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_pieces_and_threads_make_no_difference(pool: Executor, data: bytes, compression: Compression) -> None:
    packed = pack(data, compression, pool)
    assert len(packed) < len(data) * 0.6
    with ThreadPoolExecutor(1) as one:
        again = pack(data, compression, one, piece=300_001)
    # See Packer: of equal codes isal does not always choose the same.
    assert again == packed if compression == "zstd" else len(again) == pytest.approx(len(packed), rel=1e-4)
    unpacked = decompress(io.BytesIO(again))
    assert b"".join(iter(lambda: unpacked.read(CHUNK), b"")) == data


def test_what_the_sink_raises_comes_out(pool: Executor, data: bytes) -> None:
    class Full:
        def write(self, data: bytes) -> None:
            if len(data) > 10:
                raise OSError("full")

    packer = Packer(Full(), "gzip", pool)
    with pytest.raises(OSError, match="full"):
        packer.write(data)
