"""Answers that a client may have already: entity tags, and what it says of them.

https://www.rfc-editor.org/rfc/rfc9110#section-13.1.2
"""

import hashlib
import re

from aiohttp import web

__all__ = ["entity_tag", "has_it"]

# Bytes from 0x80 on may stand in a tag too; how they were decoded does not matter, since ours have none.
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"'
_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*(?:{_TAG}|$))*[ \t]*")
_OPAQUE = re.compile(_TAG)
_LIMIT = 64 << 10


def entity_tag(*parts: object) -> str:
    """Return the tag of the answer that follows from `parts`, whose representations are all that it depends on."""
    return f'"{hashlib.blake2b(repr(parts).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()}"'


def has_it(request: web.Request, tag: str) -> bool:
    """Whether the client says that it has the answer with `tag`, by the weak comparison that the header asks for.

    What is no list of tags is ignored: the client then gets the whole answer.
    """
    text = ",".join(request.headers.getall("If-None-Match", ()))
    if text.strip(" \t") == "*":
        return True
    if not text or len(text) > _LIMIT or not _TAGS.fullmatch(text):
        return False
    return any(found.removeprefix("W/") == tag for found in _OPAQUE.findall(text))
