import time

import pytest

from imagewright.archive.pax import (
    decode_xattr_name,
    encode_records,
    encode_xattr_name,
    format_time,
    parse_integer,
    parse_records,
    parse_time,
)
from imagewright.errors import InvalidInput

INVALID = "^archive/tar: invalid tar header$"


@pytest.mark.parametrize(
    ("data", "records"),
    [
        (b"", []),
        (b"6 k=1\n", [(b"k", b"1")]),
        (b"6 k=1\n6 k=2\n", [(b"k", b"1"), (b"k", b"2")]),
        (b"5 k=\n", [(b"k", b"")]),
        (b"000011 k=1\n", [(b"k", b"1")]),
        (b"10 k=a=b\n\n", [(b"k", b"a=b\n")]),
        (b"8 k=\0\xff\n\n", [(b"k", b"\0\xff\n")]),
    ],
)
def test_reads_records(data: bytes, records: list[tuple[bytes, bytes]]) -> None:
    assert parse_records(data) == records


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"6",
        b"6 ",
        b" 6 k=1\n",
        b"7 k=1\n",
        b"5 k=1\n",
        b"6 k=1 ",
        b"-6 k=1\n",
        b"+6 k=1\n",
        b"0 k=1\n",
        b"2 k=1\n",
        b"3 \n",
        b"5 =1\n",
        b"5 kk\n",
        b"6 k=1\n\0",
        b"10 path=\0\n",
        b"14 linkpath=\0\n",
        b"7 k\0=1\n",
        b"9" * 100_000 + b" k=1\n",
        b"0" * 100_000 + b"6 k=1\n",
    ],
)
def test_refuses_malformed_records(data: bytes) -> None:
    with pytest.raises(InvalidInput, match=INVALID):
        parse_records(data)


def test_reads_a_million_bytes_of_records_in_linear_time() -> None:
    began = time.perf_counter()
    assert len(parse_records(b"6 k=1\n" * 170_000)) == 170_000
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 92, 93, 94, 95, 990, 991, 992, 993, 9988, 9989, 9990])
def test_the_length_of_a_record_counts_itself(length: int) -> None:
    records = [(b"k", b"v" * length), (b"l", b"")]
    assert parse_records(encode_records(records)) == records


@pytest.mark.parametrize(("value", "number"), [(b"0", 0), (b"-1", -1), (b"+7", 7), (b"000000000000000000012", 12)])
def test_reads_integers(value: bytes, number: int) -> None:
    assert parse_integer(value) == number


@pytest.mark.parametrize(
    "value", [b"", b"-", b"1.0", b"1_0", b" 1", b"1\n", b"0x1", b"9223372036854775808", b"9" * 100_000, b"0" * 100_000]
)
def test_refuses_other_integers(value: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidInput, match=INVALID):
        parse_integer(value)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    ("value", "time_ns"),
    [
        (b"0", 0),
        (b"1", 1_000_000_000),
        (b"1.", 1_000_000_000),
        (b"1.5", 1_500_000_000),
        (b"1.000000001", 1_000_000_001),
        (b"1.0000000019" + b"9" * 1000, 1_000_000_001),
        (b"-1.5", -1_500_000_000),
        (b"-0.5", -500_000_000),
        (b"+2", 2_000_000_000),
    ],
)
def test_reads_times(value: bytes, time_ns: int) -> None:
    assert parse_time(value) == time_ns


@pytest.mark.parametrize(
    "value", [b"", b".5", b"1e5", b"1.-5", b"--1", b"1.5x", b"9" * 100_000, b"9223372036854775808"]
)
def test_refuses_other_times(value: bytes) -> None:
    with pytest.raises(InvalidInput, match=INVALID):
        parse_time(value)


@pytest.mark.parametrize("time_ns", [0, 1, -1, 1_500_000_000, -1_500_000_000, 10**18 + 1, 2**63 - 1, -(2**63)])
def test_times_come_back(time_ns: int) -> None:
    assert parse_time(format_time(time_ns)) == time_ns


def test_times_have_no_more_decimals_than_they_need() -> None:
    assert format_time(1_500_000_000) == b"1.5"
    assert format_time(2_000_000_000) == b"2"


@pytest.mark.parametrize("name", ["user.x", "user.a=b", "user.100%", "user.%3D", "user.%253D", "user.\udcff"])
def test_names_of_attributes_come_back(name: str) -> None:
    keyword = encode_xattr_name(name)
    assert b"=" not in keyword
    assert decode_xattr_name(keyword) == name
