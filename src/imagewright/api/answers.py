"""Answers that are not streams."""

from typing import Any

from aiohttp import web

from imagewright.api.encoding import encode

__all__ = ["empty_answer", "json_answer", "json_bytes_answer", "not_modified_answer"]


def json_answer(document: Any, status: int = 200) -> web.Response:
    """Return the answer that holds `document`."""
    return json_bytes_answer(encode(document) + b"\n", status)


def json_bytes_answer(document: bytes, status: int = 200) -> web.Response:
    """Return the answer that holds `document`, which is JSON already, and ends its line."""
    return web.Response(status=status, body=document, headers={"Content-Type": "application/json"})


def empty_answer(status: int) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status, headers={} if status == 204 else {"Content-Length": "0"})


def not_modified_answer(tag: str) -> web.Response:
    """Return the answer to a client that has already what it would be sent, which `tag` names."""
    return web.Response(status=304, headers={"ETag": tag})
