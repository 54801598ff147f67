import pytest

from imagewright.errors import InvalidInput
from imagewright.remote import detect_kind

_OCTETS = "application/octet-stream"


@pytest.mark.parametrize(
    ("content_type", "preamble", "kind"),
    [
        ("text/plain", b"\0", "dockerfile"),
        ("text/plain; charset=utf-8", b"FROM x", "dockerfile"),
        ("x-text/plainish", b"FROM x", "dockerfile"),
        ("application/x-tar", b"FROM x", "archive"),
        ("application/tar+gzip", b"FROM x", "archive"),
        ("application/gzip", b"x", "archive"),
        ("application/x-bzip2", b"x", "archive"),
        ("application/x-xz", b"x", "archive"),
        ("application/zstd", b"x", "archive"),
        (f"{_OCTETS}; x=y", b"FROM x", "archive"),
        ("", b"FROM x\n", "dockerfile"),
        (_OCTETS, b"FROM x\n", "dockerfile"),
        ("", b"# caf\xe9\n", "dockerfile"),
        ("", b"\xef\xbb\xbfFROM x", "dockerfile"),
        ("", b"\xff\xfeF\0", "dockerfile"),
        ("", b"<article>", "dockerfile"),
        ("", b"\x1f\x8b\x08", "archive"),
        ("", b"BZh91AY&SY\x00", "archive"),
        ("", b"Dockerfile\0\0", "archive"),
        ("", b"x" * 100 + b"\0", "dockerfile"),
    ],
)
def test_kinds(content_type: str, preamble: bytes, kind: str) -> None:
    assert detect_kind(content_type, preamble) == kind


@pytest.mark.parametrize(
    ("content_type", "preamble", "message"),
    [
        ("text/plain", b"", "empty response"),
        ("", b"", "empty response"),
        ("text/html", b"FROM x", 'unsupported Content-Type "text/html"'),
        ("Text/Plain", b"FROM x", 'unsupported Content-Type "Text/Plain"'),
        ("foo/bar", b"FROM x", 'unsupported Content-Type "foo/bar"'),
        ("", b" \n<html>", 'unsupported Content-Type ""'),
        ("", b"<!-- x", 'unsupported Content-Type ""'),
        ("", b"<?xml version", 'unsupported Content-Type ""'),
        ("", b"%PDF-1.4", 'unsupported Content-Type ""'),
        ("", b"\x89PNG\r\n\x1a\n", 'unsupported Content-Type ""'),
        ("", b"PK\3\4", 'unsupported Content-Type ""'),
        (_OCTETS, b"<html>", f'unsupported Content-Type "{_OCTETS}"'),
        ("<secret page>", b"FROM x", 'unsupported Content-Type ""'),
        ("x" * 200, b"FROM x", 'unsupported Content-Type ""'),
    ],
)
def test_what_is_neither(content_type: str, preamble: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        detect_kind(content_type, preamble)
    assert str(raised.value) == message
