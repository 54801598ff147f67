import pytest

from imagewright.oci import Healthcheck
from imagewright.plan.history import format_duration, format_healthcheck, format_list, quote, quote_list, record


def test_record_as_the_engine_writes_it() -> None:
    assert record(("/bin/sh", "-c"), "ENV X=1") == "/bin/sh -c #(nop)  ENV X=1"
    assert record(("/bin/sh", "-ec"), "WORKDIR /x", tight=True) == "/bin/sh -ec #(nop) WORKDIR /x"


def test_lists() -> None:
    assert format_list(["/v", "/a b"]) == "[/v /a b]"
    assert quote_list(["a b", "c"]) == '["a b" "c"]'
    assert quote_list([]) == "[]"


# Each was printed by the engine for a CMD with this string.
@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('a"b', r'"a\"b"'),
        ("c\\d", r'"c\\d"'),
        ("é\x01\n", r'"é\x01\n"'),
        ("\u2028", r'"\u2028"'),
        ("\U0001f600", '"\U0001f600"'),
        ("\x7f\xad\xa0\ufeff", r'"\x7f\u00ad\u00a0\ufeff"'),
        ("\u0301", '"\u0301"'),
        ("'", '"\'"'),
        ("\t\r\f\b\v\a", r'"\t\r\f\b\v\a"'),
        ("\U000e0001", r'"\U000e0001"'),
        ("\udcff", r'"\xff"'),
        ("a b", '"a b"'),
    ],
)
def test_quote(text: str, quoted: str) -> None:
    assert quote(text) == quoted


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (1_000_000, "1ms"),
        (1_500_000_000, "1.5s"),
        (1_234_567_000, "1.234567s"),
        (60_000_000_000, "1m0s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_601_000_000_000, "1h0m1s"),
        (324_000_500_000_000, "90h0m0.5s"),
    ],
)
def test_format_duration(nanoseconds: int, text: str) -> None:
    assert format_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (
            Healthcheck(test=("CMD-SHELL", 'curl -f "x"'), interval=5_000_000_000, retries=3),
            r"""&{["CMD-SHELL" "curl -f \"x\""] "5s" "0s" "0s" '\x03'}""",
        ),
        (Healthcheck(test=("NONE",)), r"""&{["NONE"] "0s" "0s" "0s" '\x00'}"""),
        (Healthcheck(test=("CMD", "a"), retries=300), """&{["CMD" "a"] "0s" "0s" "0s" 'Ĭ'}"""),
        (Healthcheck(test=("CMD", "a"), retries=8), r"""&{["CMD" "a"] "0s" "0s" "0s" '\b'}"""),
        (Healthcheck(test=("CMD", "a"), retries=39), r"""&{["CMD" "a"] "0s" "0s" "0s" '\''}"""),
        (Healthcheck(test=("CMD", "a"), retries=55296), """&{["CMD" "a"] "0s" "0s" "0s" '\ufffd'}"""),
        (Healthcheck(test=("CMD", "a"), retries=9_999_999), """&{["CMD" "a"] "0s" "0s" "0s" '\ufffd'}"""),
        (
            Healthcheck(test=("CMD", "a"), start_interval=2_000_000_000, retries=65),
            """&{["CMD" "a"] "0s" "0s" "0s" "2s" 'A'}""",
        ),
    ],
)
def test_format_healthcheck(check: Healthcheck, text: str) -> None:
    assert format_healthcheck(check) == text
