import pytest

from imagewright.errors import InvalidInput
from imagewright.registry import parse_insecure, parse_mirror


@pytest.mark.parametrize(
    ("text", "mirror"),
    [
        ("http://mirror.example", "http://mirror.example/"),
        ("https://Mirror.example:5000/", "https://mirror.example:5000/"),
        ("http://[::1]:5000", "http://[::1]:5000/"),
    ],
)
def test_mirrors(text: str, mirror: str) -> None:
    assert parse_mirror(text) == mirror


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # As an engine 20.10 says it.
        ("ftp://x", 'invalid mirror: unsupported scheme "ftp" in "ftp://x"'),
        ("noscheme", 'invalid mirror: unsupported scheme "" in "noscheme"'),
        ("", 'invalid mirror: unsupported scheme "" in ""'),
        ("http://x/path", 'invalid mirror: path, query, or fragment at end of the URI "http://x/path"'),
        ("http://x?q", 'invalid mirror: path, query, or fragment at end of the URI "http://x?q"'),
        ("http://x/#f", 'invalid mirror: path, query, or fragment at end of the URI "http://x/#f"'),
        ("http://me:secret@x", 'invalid mirror: username/password not allowed in URI "http://***@x"'),
        # What it takes, and could never ask.
        ("http://", 'invalid mirror: no host in "http://"'),
        ("http://a b", 'invalid mirror: no host in "http://a b"'),
        ("http://x:99999", "invalid mirror: it is not a valid URI"),
        ("http://[::1", "invalid mirror: it is not a valid URI"),
    ],
)
def test_mirrors_that_can_be_none(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_mirror(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("reg.example", "reg.example"),
        ("Reg.Example:5000", "reg.example:5000"),
        ("http://reg.example:80", "reg.example:80"),
        ("https://reg.example", "reg.example"),
        ("[::1]:5000", "[::1]:5000"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("fd00::/8", "fd00::/8"),
    ],
)
def test_insecure_registries(text: str, entry: str) -> None:
    assert parse_insecure(text) == entry


@pytest.mark.parametrize("text", ["", "a/b", "10.0.0.0/99", "x:99999", "x:y", "-x", "x-", "a b", "x:", "me@x"])
def test_insecure_registries_that_can_be_none(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^(insecure registry|invalid index name)"):
        parse_insecure(text)
