"""Answers that are not streams."""

from typing import Any

from aiohttp import web

from imagewright.api.encoding import encode

__all__ = ["empty_answer", "json_answer", "json_bytes_answer"]


def json_answer(document: Any) -> web.Response:
    """Return the answer that holds `document`."""
    return json_bytes_answer(encode(document))


def json_bytes_answer(document: bytes) -> web.Response:
    """Return the answer that holds `document`, which is JSON already."""
    return web.Response(body=document + b"\n", headers={"Content-Type": "application/json"})


def empty_answer(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status, headers={} if status == 204 else {"Content-Length": "0"})
