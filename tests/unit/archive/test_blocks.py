import pytest

from imagewright.archive import Limits
from imagewright.archive.blocks import Blocks
from imagewright.errors import InvalidInput
from unit.archive.raw_tar import Stream

DATA = bytes(range(256)) * 8


@pytest.mark.parametrize("step", [1, 500, 512, 513, 1 << 20])
def test_hands_out_blocks_and_pieces_with_their_position(step: int) -> None:
    blocks = Blocks(Stream(DATA, step), Limits())
    assert blocks.block() == DATA[:512]
    assert blocks.take(100) == DATA[512:612]
    assert blocks.offset == 612
    assert blocks.skip_to(1000)
    assert blocks.take(0) == b""
    assert blocks.block() == DATA[1000:1512]
    assert blocks.skip_to(len(DATA))
    assert blocks.block() is None
    assert not blocks.skip_to(len(DATA) + 1)
    assert blocks.offset == len(DATA)


def test_pieces_stay_as_they_were() -> None:
    blocks = Blocks(Stream(DATA, 10), Limits())
    assert b"".join(list(blocks.pieces(len(DATA)))) == DATA


def test_the_end_within_a_block_or_a_piece_is_unexpected() -> None:
    with pytest.raises(InvalidInput, match=r"^unexpected EOF$"):
        Blocks(Stream(DATA[:511], 7), Limits()).block()
    with pytest.raises(InvalidInput, match=r"^unexpected EOF$"):
        Blocks(Stream(DATA[:511], 7), Limits()).take(512)


def test_draining_reads_everything() -> None:
    stream = Stream(DATA, 100)
    blocks = Blocks(stream, Limits())
    blocks.block()
    blocks.drain()
    assert stream.read(1) == b""
    assert blocks.offset == len(DATA)


def test_too_long_a_stream_is_refused() -> None:
    limits = Limits(unpacked=2000)
    Blocks(Stream(DATA[:2000], 100), limits).drain()
    with pytest.raises(InvalidInput, match="larger than 2000 bytes"):
        Blocks(Stream(DATA[:2001], 100), limits).drain()


def test_holes_count_as_bytes_and_as_compression() -> None:
    with pytest.raises(InvalidInput, match="larger than 2000 bytes"):
        Blocks(Stream(b""), Limits(unpacked=2000)).charge(2001)
    with pytest.raises(InvalidInput, match="more than 2 times"):
        Blocks(Stream(b""), Limits(ratio=2, ratio_after=1000)).charge(2001)
    Blocks(Stream(b""), Limits(ratio=2, ratio_after=1000)).charge(1000)
