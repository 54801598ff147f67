"""Whether a file from elsewhere is a Dockerfile or an archive: by its content type, or else by its beginning."""

import re
from typing import Literal

from imagewright.errors import InvalidInput

__all__ = ["PREAMBLE", "Kind", "detect_kind"]

Kind = Literal["dockerfile", "archive"]

PREAMBLE = 100
"""How many bytes of a file are looked at, if it has so many."""

_TYPES = re.compile(r"application/(?:(?:x-)?tar|octet-stream|(?:x-)?(?:gzip|bzip2?|xz|zstd))|text/plain")
_UNSAID = frozenset({"", "application/octet-stream"})

# What a browser would take the file for, as far as it is neither text nor something to unpack:
# https://mimesniff.spec.whatwg.org/#identifying-a-resource-with-an-unknown-mime-type
_TAGS = b"HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P"
_MARKUP = re.compile(rb"[\t\n\x0c\r ]*(?:<\?xml|(?:<!DOCTYPE HTML|<(?:" + _TAGS + rb")|<!--)[ >])", re.IGNORECASE)
_FOREIGN = (
    *(b"%PDF-", b"%!PS-Adobe-", b"\0\0\1\0", b"\0\0\2\0", b"BM", b"GIF87a", b"GIF89a", b"\x89PNG\r\n\x1a\n"),
    *(b"\xff\xd8\xff", b"PK\3\4", b"Rar!\x1a\7", b"OggS\0", b"ID3", b"\0asm", b"\x1aE\xdf\xa3"),
)
_ARCHIVES = (b"\x1f\x8b\x08",)
_MARKS = (b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def detect_kind(content_type: str, preamble: bytes) -> Kind:
    """Return what a file is whose server calls it `content_type` and which begins with `preamble`.

    Raises `InvalidInput` for an empty one, and for one that is neither.
    """
    if not preamble:
        raise InvalidInput("empty response")
    if content_type in _UNSAID:
        return _sniff(content_type, preamble[:PREAMBLE])
    known = _TYPES.search(content_type)
    if known is None:
        raise _unsupported(content_type)
    return "dockerfile" if known[0] == "text/plain" else "archive"


def _sniff(content_type: str, preamble: bytes) -> Kind:
    if preamble.startswith(_MARKS):
        return "dockerfile"
    if _MARKUP.match(preamble) or preamble.startswith(_FOREIGN):
        raise _unsupported(content_type)
    return "archive" if preamble.startswith(_ARCHIVES) or _BINARY.search(preamble) else "dockerfile"


def _unsupported(content_type: str) -> InvalidInput:
    # A type is no place to put a page: what is long or unprintable is not repeated.
    shown = content_type if re.fullmatch(r"[\w.+/;=, -]{0,100}", content_type, re.ASCII) else ""
    return InvalidInput(f'unsupported Content-Type "{shown}"')
