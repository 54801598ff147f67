import pytest

from imagewright.errors import InvalidInput
from imagewright.registry.addresses import (
    Location,
    Origin,
    is_insecure,
    is_loopback,
    parse_location,
    parse_registry,
    refused_peer,
)


def nowhere(_host: str) -> list[str]:
    return []


@pytest.mark.parametrize(
    ("text", "origin", "target"),
    [
        ("https://Example.com", Origin("https", "example.com", 443), "/"),
        ("http://example.com:5000/v2/?a=b", Origin("http", "example.com", 5000), "/v2/?a=b"),
        ("https://[::1]:5000/x", Origin("https", "::1", 5000), "/x"),
    ],
)
def test_a_url_is_an_origin_and_a_target(text: str, origin: Origin, target: str) -> None:
    assert parse_location(text) == Location(origin, target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https://user:word@example.com/",
        "https://example.com:x/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://exa mple.com/",
        "https://example.com/\r\nX: 1",
    ],
)
def test_what_is_no_plain_url_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_location(text)


def test_a_relative_url_is_seen_from_its_base() -> None:
    base = parse_location("https://example.com/v2/x/tags/list?n=1")

    assert parse_location("/v2/y", base) == Location(base.origin, "/v2/y")
    assert parse_location("other?z", base).target == "/v2/x/tags/other?z"
    assert parse_location("//other.com/", base).origin == Origin("https", "other.com", 443)


def test_texts_leave_the_query_out() -> None:
    location = parse_location("https://[::1]:5000/x?token=secret")

    assert str(location) == "https://[::1]:5000/x"
    assert location.origin.dialled == "[::1]:5000"
    assert str(parse_location("https://example.com:443/x")) == "https://example.com/x"


def test_a_query_is_added_to() -> None:
    location = parse_location("https://example.com/x")

    assert location.with_query([]) == location
    assert location.with_query([("a", "b c")]).target == "/x?a=b+c"
    assert location.with_query([("a", "b")]).with_query([("c", "d")]).target == "/x?a=b&c=d"


def test_a_registry_has_a_host_and_maybe_a_port() -> None:
    assert parse_registry("Localhost:5000", "http") == Origin("http", "localhost", 5000)
    with pytest.raises(InvalidInput):
        parse_registry("user@host", "https")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("localhost.example.com", False),
        ("0.0.0.0", False),  # noqa: S104 # not bound to
    ],
)
def test_loopback_goes_by_the_name(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("224.0.0.1", True),
        ("0.0.0.0", True),  # noqa: S104 # not bound to
        ("nonsense", True),
        ("10.1.2.3", False),
        ("127.0.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_peers_that_are_no_registries(peer: str, expected: bool) -> None:
    assert refused_peer(peer) is expected


@pytest.mark.parametrize(
    ("registry", "entries", "expected"),
    [
        ("reg.example", ("reg.example",), True),
        ("reg.example", ("reg.example:443",), True),
        ("reg.example:5000", ("reg.example",), False),
        ("reg.example:5000", ("REG.example:5000",), True),
        ("reg.example:5000", ("reg.example:5001",), False),
        ("10.1.2.3:5000", ("10.0.0.0/8",), True),
        ("11.1.2.3:5000", ("10.0.0.0/8",), False),
        ("reg.example", (), False),
    ],
)
def test_insecure_registries_are_listed_exactly(registry: str, entries: tuple[str, ...], expected: bool) -> None:
    assert is_insecure(parse_registry(registry, "https"), entries, nowhere) is expected


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [(["10.1.2.3"], True), (["10.1.2.3", "11.1.2.3"], False), ([], False), (["fe80::1%x"], False)],
)
def test_a_network_holds_all_addresses_of_a_name(addresses: list[str], expected: bool) -> None:
    assert is_insecure(parse_registry("reg.example", "https"), ("10.0.0.0/8",), lambda _host: addresses) is expected


def test_a_network_that_is_none_is_told() -> None:
    with pytest.raises(InvalidInput, match="insecure registry 10/x"):
        is_insecure(parse_registry("reg.example", "https"), ("10/x",), nowhere)
