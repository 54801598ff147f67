import pytest

from imagewright.api.times import parse_duration, parse_event_time, parse_log_time, parse_timestamp
from imagewright.errors import InvalidInput

NOW_NS = 1_700_000_000 * 10**9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 1_700_000_000 - 600),
        ("1h30m", 1_700_000_000 - 5400),
        ("-1.5h", 1_700_000_000 + 5400),
        ("1500ms", 1_699_999_998.5),
        ("1700000000", 1_700_000_000),
        ("1700000000.5", 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000.5),
        ("2023-11-14T22:13:20", 1_700_000_000),
        ("2023-11-14T22:13", 1_699_999_980),
        ("2023-11-14T22", 1_699_999_200),
        ("2023-11-14", 1_699_920_000),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_timestamp(text, NOW_NS) == int(seconds * 10) * 10**8


@pytest.mark.parametrize("text", ["", "yesterday", "10x", "2023-13-01", "2023-11-14T25", "1" * 40])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_timestamp(text, NOW_NS)


@pytest.mark.parametrize(
    ("text", "duration_ns"),
    [("168h", 168 * 3600 * 10**9), ("1m30s", 90 * 10**9), ("-1ms", -(10**6)), ("0h", 0), ("0", None), ("1d", None)],
)
def test_durations(text: str, duration_ns: int | None) -> None:
    assert parse_duration(text) == duration_ns


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [
        ("", None),
        ("-1", -(10**9)),
        ("1700000000.123456789", 1_700_000_000_123_456_789),
        ("1700000000.1234567890123", 1_700_000_000_123_456_789),
        ("10s", NOW_NS - 10 * 10**9),
        ("2023-11-14T22:13:20Z", NOW_NS),
    ],
)
def test_times_of_events(text: str, time_ns: int | None) -> None:
    assert parse_event_time(text, NOW_NS) == time_ns


@pytest.mark.parametrize(("text", "quoted"), [("abc", "abc"), ("1.x", "x"), ("1 ", "1 "), ("x.1", "x")])
def test_what_is_no_time_of_an_event(text: str, quoted: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_event_time(text, NOW_NS)
    assert str(raised.value) == f'strconv.ParseInt: parsing "{quoted}": invalid syntax'


@pytest.mark.parametrize(
    ("text", "time_ns"),
    [("", None), ("0", None), ("1", 10**9), ("-1", -(10**9)), ("1.5", 1_500_000_000), ("2.000000001", 2_000_000_001)],
)
def test_times_of_logs(text: str, time_ns: int | None) -> None:
    assert parse_log_time(text) == time_ns


@pytest.mark.parametrize(("text", "bad"), [("xx", "xx"), ("1.x", "x"), ("2020-01-01", "2020-01-01"), ("x.1", "x")])
def test_what_is_no_time_of_a_log(text: str, bad: str) -> None:
    with pytest.raises(InvalidInput, match=f'^strconv.ParseInt: parsing "{bad}": invalid syntax$'):
        parse_log_time(text)
