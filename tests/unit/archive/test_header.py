import pytest

from imagewright.archive.header import FIELDS, checksum, parse_number, parse_text, verify
from imagewright.errors import InvalidInput
from unit.archive.raw_tar import header


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (b"0000644\0", 0o644),
        (b"000644 \0", 0o644),
        (b"   644 \0", 0o644),
        (b"  644\0xy", 0o644),
        (b"77777777", 0o77777777),
        (bytes(8), 0),
        (b" " * 8, 0),
        (b"\0\0 7\0\0\0\0", 7),
        (b"\x80" + bytes(6) + b"\x05", 5),
        (b"\xff" * 8, -1),
        (b"\xff" * 7 + b"\xfe", -2),
        (b"\xff" + b"\0" * 7, -(2**56)),
        (b"\x80" + bytes(3) + b"\x7f" + b"\xff" * 7, 2**63 - 1),
        (b"\xff" * 4 + b"\x80" + bytes(7), -(2**63)),
    ],
)
def test_reads_octal_and_base_256(field: bytes, number: int) -> None:
    assert parse_number(field) == number


@pytest.mark.parametrize(
    "field",
    [
        b"0000648\0",
        b"-000644\0",
        b"+000644\0",
        b"0_00644\0",
        b"0o00644\0",
        b"06 0644\0",
        b"abcdefgh",
        b"\x7f" * 8,
        b"\x80" + bytes(3) + b"\x80" + bytes(7),
        b"\xff" * 4 + b"\x7f" + b"\xff" * 7,
        b"\xbf" + b"\xff" * 11,
    ],
)
def test_refuses_other_numbers(field: bytes) -> None:
    with pytest.raises(InvalidInput, match=r"^archive/tar: invalid tar header$"):
        parse_number(field)


def test_text_ends_at_the_first_nul() -> None:
    assert parse_text(b"abc\0def") == "abc"
    assert parse_text(b"abc") == "abc"
    assert parse_text("ä".encode() + b"\xff\0") == "ä\udcff"


def test_checksum_takes_its_field_for_spaces() -> None:
    for block in (bytes(512), b"\xff" * 512, bytes(range(256)) * 2):
        assert checksum(block) == sum(block[:148]) + 8 * 32 + sum(block[156:])


def test_accepts_signed_sums_and_refuses_others() -> None:
    name = b"\xc3\xa4\xff"
    block = header(name)
    verify(block, FIELDS.unpack(block)[6])
    signed = b"%06o\0 " % (checksum(block) - 3 * 256)
    verify(header(name, checksum=signed), signed)
    wrong = b"%06o\0 " % (checksum(block) + 1)
    with pytest.raises(InvalidInput, match="invalid tar header"):
        verify(header(name, checksum=wrong), wrong)
