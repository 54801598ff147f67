from collections.abc import Callable

import pytest

from imagewright.archive.sparse import check_segments, parse_decimal_map, parse_old_entries, read_stored_map
from imagewright.errors import InvalidInput

INVALID = "invalid tar header"


def blocks(data: bytes) -> Callable[[], bytes]:
    at = 0

    def block() -> bytes:
        nonlocal at
        at += 512
        return data[at - 512 : at].ljust(512, b"\0")

    return block


def test_old_entries_end_where_nothing_is_written() -> None:
    entry = b"%011o\0%011o\0" % (512, 1024)
    assert parse_old_entries(entry * 2 + bytes(48)) == [(512, 1024)] * 2
    assert parse_old_entries(entry * 4) == [(512, 1024)] * 4
    assert parse_old_entries(bytes(96)) == []


def test_decimal_maps_come_in_pairs() -> None:
    assert parse_decimal_map([b"0", b"5", b"10", b"1"]) == [(0, 5), (10, 1)]
    with pytest.raises(InvalidInput, match=INVALID):
        parse_decimal_map([b"0", b"5", b"10"])
    with pytest.raises(InvalidInput, match=INVALID):
        parse_decimal_map([b"0", b"x"])


def test_reads_a_stored_map() -> None:
    assert read_stored_map(blocks(b"0\n"), 1000) == ([], 1)
    assert read_stored_map(blocks(b"2\n0\n5\n10\n1\nrest"), 1000) == ([(0, 5), (10, 1)], 1)


def test_reads_a_stored_map_of_several_blocks() -> None:
    numbers = [(n * 1000, 10) for n in range(300)]
    data = b"300\n" + b"".join(b"%d\n%d\n" % pair for pair in numbers)
    assert read_stored_map(blocks(data), 1 << 20) == (numbers, -(-len(data) // 512))


@pytest.mark.parametrize("data", [b"", b"5" * 600, b"-1\n", b"x\n", b"1\n5\nx\n", b"1\n-\n5\n"])
def test_refuses_other_maps(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=INVALID):
        read_stored_map(blocks(data), 1 << 20)


@pytest.mark.parametrize("data", [b"1000000\n", b"250\n" + b"0" * 2000])
def test_refuses_maps_that_are_too_long(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="header field too long"):
        read_stored_map(blocks(data), 1000)


def test_a_map_leaves_out_empty_segments() -> None:
    assert check_segments([(0, 5), (7, 0), (8, 2), (10, 0)], 10, 7) == ((0, 5), (8, 2))


@pytest.mark.parametrize(
    ("segments", "size", "stored"),
    [
        ([(0, 5)], 4, 5),
        ([(0, 5)], 10, 4),
        ([(0, 5)], 10, 6),
        ([(-1, 5)], 10, 5),
        ([(5, -1)], 10, -1),
        ([(5, 1), (0, 1)], 10, 2),
        ([(0, 2), (1, 2)], 10, 4),
        ([], -1, 0),
        ([(2**62, 2**62), (2**63, 2**62)], 2**62, 2**63),
    ],
)
def test_refuses_impossible_maps(segments: list[tuple[int, int]], size: int, stored: int) -> None:
    with pytest.raises(InvalidInput, match=INVALID):
        check_segments(segments, size, stored)
