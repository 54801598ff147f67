import pytest

from imagewright.archive.header import BLOCK
from imagewright.archive.ustar import Fields, format_header
from imagewright.errors import InvalidInput
from unit.archive.raw_tar import header, pax


def test_what_fits_is_one_block() -> None:
    fields = Fields(path=b"f", type=b"0", mode=0o644, size=5, mtime_ns=7 * 10**9)
    assert format_header(fields) == header(b"f", size=5, mtime=b"%011o\0" % 7)


def test_devices_have_numbers() -> None:
    fields = Fields(path=b"d", type=b"3", mode=0o644, major=8, minor=3)
    assert format_header(fields) == header(b"d", kind=b"3", major=b"0000010\0", minor=b"0000003\0")


@pytest.mark.parametrize(
    ("path", "prefix", "name"),
    [
        (b"x" * 100, b"", b"x" * 100),
        (b"d/" + b"x" * 99, b"d", b"x" * 99),
        (b"d" * 155 + b"/" + b"x" * 100, b"d" * 155, b"x" * 100),
        (b"d/" * 75 + b"x", b"/".join([b"d"] * 75), b"x"),
        (b"d" * 110 + b"/x/", b"d" * 110, b"x/"),
        (b"d" * 60 + b"/" + b"x" * 60 + b"/", b"d" * 60, b"x" * 60 + b"/"),
    ],
)
def test_long_paths_are_split_where_they_can_be(path: bytes, prefix: bytes, name: bytes) -> None:
    assert format_header(Fields(path=path, type=b"0", mode=0o644)) == header(name, prefix=prefix)


@pytest.mark.parametrize(
    "path", [b"x" * 101, b"d" * 156 + b"/x", b"d/" + b"x" * 101, b"x" * 100 + b"/", b"/" + b"x" * 100]
)
def test_other_long_paths_are_records(path: bytes) -> None:
    data = format_header(Fields(path=path, type=b"0", mode=0o644))
    assert data[BLOCK:] == pax({b"path": path})[BLOCK:] + header(path[:100])


def test_what_does_not_fit_is_in_sorted_records() -> None:
    fields = Fields(
        path=b"f",
        type=b"2",
        mode=0o644,
        uid=2**21,
        gid=2**21,
        size=2**33,
        mtime_ns=-1,
        link=b"l" * 101,
        xattrs={"user.b": b"2", "user.a": b"1"},
    )
    data = format_header(fields)
    records = [
        (b"SCHILY.xattr.user.a", b"1"),
        (b"SCHILY.xattr.user.b", b"2"),
        (b"gid", b"2097152"),
        (b"linkpath", b"l" * 101),
        (b"mtime", b"-0.000000001"),
        (b"size", b"8589934592"),
        (b"uid", b"2097152"),
    ]
    assert data[BLOCK:] == pax(records)[BLOCK:] + header(kind=b"2", link=b"l" * 100)


def test_a_time_between_seconds_is_a_record_and_its_second() -> None:
    data = format_header(Fields(path=b"f", type=b"0", mode=0o644, mtime_ns=1_500_000_000))
    assert data[BLOCK:] == pax({b"mtime": b"1.5"})[BLOCK:] + header(mtime=b"%011o\0" % 1)


def test_bytes_that_are_no_text_are_said_to_be_none() -> None:
    data = format_header(Fields(path=b"\xff" * 101, type=b"0"))
    assert b"21 hdrcharset=BINARY\n" in data
    assert b"hdrcharset" not in format_header(Fields(path="ä".encode() * 101, type=b"0"))
    assert len(format_header(Fields(path=b"\xff" * 100, type=b"0"))) == BLOCK


@pytest.mark.parametrize("fields", [Fields(path=b"a\0b", type=b"0"), Fields(path=b"a", type=b"2", link=b"a\0b")])
def test_refuses_a_nul(fields: Fields) -> None:
    with pytest.raises(InvalidInput, match="NUL"):
        format_header(fields)
