import pytest

from imagewright.registry.addresses import parse_registry
from imagewright.registry.proxies import find_proxy, proxy_variables

PROXIES = {"HTTPS_PROXY": "http://secure:1", "http_proxy": "plain:2"}


def found(registry: str, scheme: str = "https", **more: str) -> str:
    return find_proxy({**PROXIES, **more}, parse_registry(registry, scheme))


def test_each_scheme_has_its_proxy() -> None:
    assert found("reg.example") == "http://secure:1"
    assert found("reg.example", "http") == "http://plain:2"
    assert not find_proxy({}, parse_registry("reg.example", "https"))


@pytest.mark.parametrize("registry", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000"])
def test_this_machine_is_reached_without(registry: str) -> None:
    assert not found(registry)


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ("*", False),
        ("reg.example", False),
        ("example", False),
        (".example", False),
        ("*.example", False),
        ("other.com, reg.example", False),
        ("reg.example:443", False),
        ("reg.example:5000", True),
        ("eg.example", True),
        (".reg.example", True),
        ("", True),
        ("10.0.0.0/8", True),
        ("10.0.0.0/x", True),
    ],
)
def test_names_are_excluded(excluded: str, expected: bool) -> None:
    assert bool(found("reg.example", NO_PROXY=excluded)) is expected


@pytest.mark.parametrize(
    ("registry", "excluded", "expected"),
    [
        ("10.1.2.3:5000", "10.0.0.0/8", False),
        ("11.1.2.3:5000", "10.0.0.0/8", True),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000", False),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5001", True),
        ("[2001:db8::1]:5000", "2001:db8::1", False),
    ],
)
def test_addresses_are_excluded(registry: str, excluded: str, expected: bool) -> None:
    assert bool(found(registry, no_proxy=excluded)) is expected


@pytest.mark.parametrize(
    ("proxy", "shown"),
    [
        ("http://p.example:3128", "http://p.example:3128"),
        ("http://me:secret@p.example", "http://xxxxx:xxxxx@p.example"),
        ("me:secret@p.example:3128", "xxxxx:xxxxx@p.example:3128"),
        ("http://me:se/c#r@et@p.example", "http://xxxxx:xxxxx@p.example"),
        ("", ""),
    ],
)
def test_what_is_shown_of_the_variables(proxy: str, shown: str) -> None:
    variables = {"HTTP_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": "a,b", "no_proxy": "c"}
    assert proxy_variables(variables) == (shown, shown, "a,b")
