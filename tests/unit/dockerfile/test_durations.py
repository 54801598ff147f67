import pytest

from imagewright.dockerfile.durations import parse_duration
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("+1s", 10**9),
        ("-1.5h", -5400 * 10**9),
        ("1h1m1.5s", 3661_500_000_000),
        (".5s", 500_000_000),
        ("1.s", 10**9),
        ("1.0000000001s", 10**9),
        ("3ms4us5µs6μs7ns", 3_015_007),
        ("0" * 50 + "1s", 10**9),
        ("0." + "1" * 50 + "s", 111_111_111),
        ("0" * 1023 + "h", 0),
        ("9223372036854775807ns", 2**63 - 1),
    ],
)
def test_durations(text: str, nanoseconds: int) -> None:
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("-", 'time: invalid duration "-"'),
        ("x", 'time: invalid duration "x"'),
        (".s", 'time: invalid duration ".s"'),
        ("1s-", 'time: unknown unit "s-" in duration "1s-"'),
        ("1s.", 'time: invalid duration "1s."'),
        ("9999999h", 'time: invalid duration "9999999h"'),
        ("99999999999999999999s", 'time: invalid duration "99999999999999999999s"'),
        ("1s" * 600, f'time: invalid duration "{"1s" * 600}"'),
        ("1", 'time: missing unit in duration "1"'),
        ("1s1", 'time: missing unit in duration "1s1"'),
        ("1.2.3s", 'time: missing unit in duration "1.2.3s"'),
        ("1d", 'time: unknown unit "d" in duration "1d"'),
        ('1"\\\xe9\x01', r'time: unknown unit "\"\\\xc3\xa9\x01" in duration "1\"\\\xc3\xa9\x01"'),
    ],
)
def test_what_is_no_duration(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_duration(text)

    assert str(caught.value) == message
