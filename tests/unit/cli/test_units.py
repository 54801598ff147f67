import pytest

from imagewright.cli.units import human_age, human_size, parse_size
from imagewright.errors import InvalidInput

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (999, "999B"),
        (1000, "1kB"),
        (1_984_172, "1.98MB"),
        (999_999, "1MB"),
        (131_506_275, "132MB"),
        (5 * 10**18, "5e+03PB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second ago"),
        (0.9, "Less than a second ago"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (MINUTE, "About a minute ago"),
        (119, "About a minute ago"),
        (2 * MINUTE, "2 minutes ago"),
        (59 * MINUTE, "59 minutes ago"),
        (HOUR, "About an hour ago"),
        (47 * HOUR, "47 hours ago"),
        (48 * HOUR, "2 days ago"),
        (13 * DAY, "13 days ago"),
        (14 * DAY, "2 weeks ago"),
        (59 * DAY, "8 weeks ago"),
        (60 * DAY, "2 months ago"),
        (729 * DAY, "24 months ago"),
        (730 * DAY, "2 years ago"),
    ],
)
def test_ages(seconds: float, text: str) -> None:
    assert human_age(seconds) == text


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1024", 1024),
        ("44b", 44),
        ("64m", 64 << 20),
        ("64M", 64 << 20),
        ("64mb", 64 << 20),
        ("64 MiB", 64 << 20),
        ("1.5g", 3 << 29),
        ("2TB", 2 << 40),
    ],
)
def test_sizes_that_people_write(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "m", "64x", "-1", "1e3", " 1", "9" * 30, "9000000p", "1.m"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid size"):
        parse_size(text)
