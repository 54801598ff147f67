"""What an error has for a status on the wire: the only place that knows."""

import os

from aiohttp import web

from imagewright import errors
from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.api.versions import ApiVersion

__all__ = ["PageNotFound", "error_response", "message_of", "redirect_response", "status_of"]

# The first kind that fits counts.
_STATUSES: tuple[tuple[type[Exception], int], ...] = (
    (errors.InvalidInput, 400),
    (errors.NotFound, 404),
    (errors.Conflict, 409),
    (errors.Forbidden, 403),
    (errors.Unsupported, 501),
    (errors.Unavailable, 503),
    # "Client closed request", as web servers log it; seen by a client that closed only its own half of the connection.
    (errors.Cancelled, 499),
)
_PLAIN_TEXT_BELOW = (1, 24)


class PageNotFound(errors.NotFound):
    """There is no such endpoint, or not for this method."""

    def __init__(self) -> None:
        super().__init__("page not found")


def status_of(error: Exception) -> int:
    """Return the HTTP status for `error`: 500 for everything that is not the client's doing."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def message_of(error: Exception) -> str:
    """Return what the client is told of `error`: nothing of the machine's inside."""
    if isinstance(error, errors.ImagewrightError):
        return str(error)
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return "internal error"


def error_response(error: Exception, version: ApiVersion) -> web.Response:
    """Return the answer for `error` to a client that speaks `version`: JSON, or plain text below 1.24."""
    headers = {"Retry-After": str(error.retry_after)} if isinstance(error, errors.Unavailable) else {}
    message = message_of(error)
    if version.at_least(*_PLAIN_TEXT_BELOW):
        body, content_type = encode(wire.error(message)) + b"\n", "application/json"
    else:
        body, content_type = f"{message}\n".encode("utf-8", "replace"), "text/plain; charset=utf-8"
        headers["X-Content-Type-Options"] = "nosniff"
    return web.Response(status=status_of(error), body=body, headers={"Content-Type": content_type, **headers})


def redirect_response(location: str) -> web.Response:
    """Return the answer that sends the client to `location`."""
    return web.Response(status=301, headers={"Location": location})
