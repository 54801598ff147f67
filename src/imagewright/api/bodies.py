"""Bodies of requests that are documents: small, and read whole."""

import asyncio

from aiohttp import web

from imagewright.errors import InvalidInput

__all__ = ["read_body"]

_BODY_LIMIT = 1 << 20
_BODY_SECONDS = 60.0


async def read_body(request: web.Request) -> bytes:
    """Return the body of `request`; raises `InvalidInput` if it is too large, cut, or does not come in time."""
    pieces: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while piece := await request.content.readany():
                pieces.append(piece)
                size += len(piece)
                if size > _BODY_LIMIT:
                    break
    except TimeoutError as error:
        raise InvalidInput("the request body stopped coming") from error
    except Exception as error:
        # aiohttp has many for a body that is cut or badly framed.
        raise InvalidInput("unexpected EOF") from error
    if size > _BODY_LIMIT:
        raise InvalidInput("the request body is too large")
    return b"".join(pieces)
