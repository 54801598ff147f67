"""Requests that are no HTTP, or too long: what is answered where the parser gives up.

aiohttp's own answers are plain text that quotes the request, which may hold secrets, and it hangs up while the client
may still be sending, who then never reads why.
"""

import structlog
from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, LineTooLong
from aiohttp.web_protocol import RequestHandler

from imagewright.api.app import SERVER
from imagewright.api.connection import Connection
from imagewright.api.encoding import encode

__all__ = ["Handler"]

_log = structlog.get_logger("imagewright.api")


class _Farewell(web.Response):
    """An answer after which the client is heard out, so that it comes to read it."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send the answer, and return when the client has sent what it wanted to, or has had time enough."""
        request = self._req
        await super().write_eof(data)
        connection = Connection.of(request) if isinstance(request, web.Request) else None
        if connection:
            await connection.hear_out()


class Handler(RequestHandler):
    """aiohttp's protocol, with answers of our own where a request cannot be read."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read because of `exc`; the connection ends with it."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun")
        text = "bad request"
        if isinstance(exc, LineTooLong):
            status, text = 431, "the request line or a header field is too long"
        elif isinstance(exc, BadHttpMethod):
            status, text = 404, "page not found"
        elif status >= 500:
            text = "internal error"
        # Neither the text of the error nor the request: there may be secrets in them.
        _log.info("unreadable request", status=status, error=type(exc).__name__)
        body = encode({"message": text}) + b"\n"
        response = _Farewell(status=status, body=body, headers={"Content-Type": "application/json", "Server": SERVER})
        response.force_close()
        return response
