"""The header in which a client lends a build its secrets: `X-Build-Secrets`, which BuildKit has a session for.

Its value is base64, of the alphabet of URLs or of the usual one, of a JSON object: ids, and the base64 of their values.
A parameter would end up in logs of proxies; no message here quotes anything of the header but an id.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence

from imagewright.errors import InvalidInput

__all__ = ["SECRETS_HEADER", "parse_secrets"]

SECRETS_HEADER = "X-Build-Secrets"
# More than what a field of a header may have is refused before; this is for who hands it on by other ways.
_HEADER_LIMIT = 64 << 10
_VALUE_LIMIT = 512 << 10
_SHOWN = 100


def parse_secrets(fields: Sequence[str]) -> Mapping[str, bytes]:
    """Return the secrets in the values `fields` of the header, of which there is at most one, by id.

    Raises `InvalidInput`, which names the header, for anything else.
    """
    if not fields:
        return {}
    if len(fields) > 1:
        raise InvalidInput(f"{SECRETS_HEADER}: the header is there more than once")
    (text,) = fields
    if not text.strip():
        return {}
    if len(text) > _HEADER_LIMIT:
        raise InvalidInput(f"{SECRETS_HEADER}: the header has more than {_HEADER_LIMIT} bytes")
    pairs = _pairs(text)
    if pairs is None:
        raise InvalidInput(f"{SECRETS_HEADER}: the header must be base64 of a JSON object")
    secrets: dict[str, bytes] = {}
    for name, value in pairs:
        if name in secrets:
            raise InvalidInput(f"{SECRETS_HEADER}: there are two secrets {_shown(name)}")
        secrets[name] = _value(name, value)
    return secrets


def _pairs(text: str) -> Sequence[tuple[str, object]] | None:
    """Return the members of the JSON object that `text` is base64 of, None if it is not that."""
    # The causes would be kept with the error, and they quote what could not be read.
    data = _decoded(text)
    try:
        # Objects become tuples, so that what is there twice is seen, and that a list is not taken for one.
        document = None if data is None else json.loads(data.decode(), object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, tuple) else None


def _shown(name: str) -> str:
    return repr(name if len(name) <= _SHOWN else f"{name[:_SHOWN]}...")


def _value(name: str, value: object) -> bytes:
    if not name:
        raise InvalidInput(f"{SECRETS_HEADER}: there is a secret without an id")
    if not name.isprintable():
        raise InvalidInput(f"{SECRETS_HEADER}: the id {_shown(name)} has characters that cannot be printed")
    if not isinstance(value, str):
        raise InvalidInput(f"{SECRETS_HEADER}: the value of {_shown(name)} must be a text")
    data = _decoded(value)
    if data is None:
        raise InvalidInput(f"{SECRETS_HEADER}: the value of {_shown(name)} must be base64")
    if len(data) > _VALUE_LIMIT:
        raise InvalidInput(f"{SECRETS_HEADER}: the value of {_shown(name)} has more than {_VALUE_LIMIT} bytes")
    return data


def _decoded(text: str) -> bytes | None:
    """Return what `text` is base64 of, in either alphabet, padded or not; None if it is not."""
    plain = text.strip().rstrip("=").replace("+", "-").replace("/", "_")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
