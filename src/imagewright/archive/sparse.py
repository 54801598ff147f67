"""Maps of sparse members: which parts of the content are stored.

https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html. A map is a tuple of segments `(offset, size)`.
"""

from collections.abc import Callable, Sequence

from imagewright.archive.header import invalid_header, parse_number, too_long
from imagewright.archive.pax import parse_integer

__all__ = ["Segments", "check_segments", "parse_decimal_map", "parse_old_entries", "read_stored_map"]

Segments = tuple[tuple[int, int], ...]


def parse_old_entries(data: bytes) -> list[tuple[int, int]]:
    """Return the segments in the 24-byte entries of an old GNU header; an entry with no offset written ends them."""
    segments = []
    for at in range(0, len(data), 24):
        if not data[at]:
            break
        segments.append((parse_number(data[at : at + 12]), parse_number(data[at + 12 : at + 24])))
    return segments


def parse_decimal_map(numbers: Sequence[bytes]) -> list[tuple[int, int]]:
    """Return the segments that `numbers` give as offset, size, offset, size."""
    if len(numbers) % 2:
        raise invalid_header()
    values = [parse_integer(number) for number in numbers]
    return list(zip(values[::2], values[1::2], strict=True))


def read_stored_map(block: Callable[[], bytes], limit: int) -> tuple[list[tuple[int, int]], int]:
    """Return the segments of a map in format 1.0, which stands before the content, and its length in blocks.

    Its lines are the number of segments, then the offset and the size of each. `limit` is the most bytes it may have.
    """
    data = bytearray(block())
    blocks = 1
    if b"\n" not in data:
        raise invalid_header()
    count = parse_integer(bytes(data[: data.index(b"\n")]))
    if count < 0:
        raise invalid_header()
    if 4 * count > limit:  # four bytes are the least for a segment
        raise too_long()
    wanted = 1 + 2 * count
    lines = data.count(b"\n")
    while lines < wanted:
        if len(data) >= limit:
            raise too_long()
        piece = block()
        data += piece
        lines += piece.count(b"\n")
        blocks += 1
    return parse_decimal_map(bytes(data).split(b"\n", wanted)[1:wanted]), blocks


def check_segments(segments: Sequence[tuple[int, int]], size: int, stored: int) -> Segments:
    """Return the map of a content of `size` bytes of which `stored` are there; raises `InvalidInput` if it cannot be.

    Segments are in order, apart, within the content, and add up to what is stored.
    """
    end = 0
    total = 0
    for offset, length in segments:
        if offset < end or length < 0:
            raise invalid_header()
        end = offset + length
        total += length
    if end > size or total != stored:
        raise invalid_header()
    return tuple(segment for segment in segments if segment[1])
