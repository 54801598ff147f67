import pytest

from imagewright.errors import InvalidInput
from imagewright.remote import Repository, is_remote, parse_remote


@pytest.mark.parametrize("text", ["http://h/x", "https://u:p@h/x?a=b#c", "https://h/x.git#"])
def test_urls(text: str) -> None:
    assert parse_remote(text) == text
    assert is_remote(text)


@pytest.mark.parametrize("text", ["https://h/x.git", "git@h:x", "github.com/x/y#v1"])
def test_repositories(text: str) -> None:
    assert isinstance(parse_remote(text), Repository)
    assert is_remote(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("foo", "remoteURL (foo) could not be recognized as URL"),
        ("ftp://u:secret@h/x", "remoteURL (ftp://h/x) could not be recognized as URL"),
        ("file:///x.git", "remoteURL (file:///x.git) could not be recognized as URL"),
        ("ext::sh -c id", "remoteURL (ext::sh -c id) could not be recognized as URL"),
        ("x" * 1000, f"remoteURL ({'x' * 250}) could not be recognized as URL"),
        ("http://", 'the build parameter remote: Get "http://": http: no Host in request URL'),
        ("git://h/x#-y", "the build parameter remote: invalid refspec: -y"),
        (
            "https://h/" + "x" * (64 << 10),
            "the build parameter remote is too long, or has characters in it that no address has",
        ),
        ("https://h/\x00", "the build parameter remote is too long, or has characters in it that no address has"),
        ("git://h/x\r\ny", "the build parameter remote is too long, or has characters in it that no address has"),
    ],
)
def test_what_is_neither(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_remote(text)
    assert str(raised.value) == message
