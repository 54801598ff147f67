"""JSON as the engine writes it: HTML characters escaped in streams, bytes that are no UTF-8 replaced.

Clients parse either way; logs and tests that compare bytes do not.
"""

import codecs
import re
from typing import Any

import msgspec

__all__ = ["REPLACE", "encode", "presentable"]

REPLACE = "imagewright-replace"
"""The name of the error handler for decoding text: U+FFFD for every byte that cannot be read, as Go does it."""

_HTML_ESCAPES = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))
_ESCAPES = (
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
    ("\ufffd".encode(), b"\\ufffd"),
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_encoder = msgspec.json.Encoder()


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\ufffd" * (error.end - error.start), error.end


codecs.register_error(REPLACE, _replace)


def encode(document: Any, *, html: bool = False) -> bytes:
    """Return `document` as one line of JSON, without an end of line; with `html`, `<>&` are escaped, as in streams."""
    try:
        data = _encoder.encode(document)
    except UnicodeEncodeError:
        data = _encoder.encode(_presentable(document))
    # None of these bytes stands anywhere in JSON but inside strings.
    for plain, escaped in (*_HTML_ESCAPES, *_ESCAPES) if html else _ESCAPES:
        if plain in data:
            data = data.replace(plain, escaped)
    return data


def presentable(text: str) -> str:
    """Return `text` with U+FFFD for what is no character: surrogates, which stand for bytes that are no UTF-8."""
    return _SURROGATE.sub("\ufffd", text)


def _presentable(value: Any) -> Any:
    if isinstance(value, str):
        return presentable(value)
    if isinstance(value, dict):
        return {_presentable(key): _presentable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_presentable(item) for item in value]
    return value
