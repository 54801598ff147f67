import pytest

from imagewright.cli.limits import parse_host, parse_ulimit
from imagewright.engine import Ulimit
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("nofile=100:200", Ulimit("nofile", 100, 200)),
        ("nofile=100", Ulimit("nofile", 100, 100)),
        ("core=-1", Ulimit("core", -1, -1)),
        ("core=0:-1", Ulimit("core", 0, -1)),
    ],
)
def test_ulimits(text: str, limit: Ulimit) -> None:
    assert parse_ulimit(text) == limit


@pytest.mark.parametrize("text", ["", "nofile", "nofile=", "nofile=a", "nofile=1:", "nofile=1:2:3", f"a={'9' * 30}"])
def test_what_is_no_ulimit(text: str) -> None:
    with pytest.raises(InvalidInput, match="invalid ulimit argument"):
        parse_ulimit(text)


@pytest.mark.parametrize("text", ["nofile=2:1", "nofile=-1:1"])
def test_ulimits_the_wrong_way_round(text: str) -> None:
    with pytest.raises(InvalidInput, match="soft limit must be less than or equal to hard limit"):
        parse_ulimit(text)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("a:1.2.3.4", "a:1.2.3.4"),
        ("a=1.2.3.4", "a:1.2.3.4"),
        ("a:::1", "a:::1"),
        ("a=::1", "a:::1"),
        ("a:[::1]", "a:::1"),
    ],
)
def test_hosts(text: str, host: str) -> None:
    assert parse_host(text) == host


@pytest.mark.parametrize("text", ["", "a", "a:", ":1.2.3.4", "=1.2.3.4"])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(InvalidInput, match="bad format for add-host"):
        parse_host(text)
