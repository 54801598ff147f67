"""Requests that nobody means well: too long, too deep, of the wrong type."""

import gzip
import json
from collections.abc import Iterator
from urllib.parse import quote

from support.builder import archive
from support.differential import Request

__all__ = ["hostile"]

_DEEP = "[" * 100_000
_LONG = {
    "a long filter": json.dumps({"label": ["x" * 40_000]}),
    "a long unknown filter": json.dumps({"x" * 40_000: ["x"]}),
    "many labels": json.dumps({"label": [str(number) for number in range(5000)]}),
    "a long value": json.dumps({"dangling": ["x" * 20_000]}),
    "a filter of a megabyte": json.dumps({"label": ["x" * (1 << 20)]}),
    "deep": "[" * 10_000,
    "deep object": '{"a":' * 5_000,
    "a long number": "1" * 10_000,
    "a long reference": json.dumps({"reference": ["*" * 5_000]}),
    "a reference of stars": json.dumps({"reference": ["*a" * 200]}),
    "a reference of classes": json.dumps({"reference": ["[a-z]" * 2000]}),
    "a long point": json.dumps({"before": ["x" * 5_000]}),
    "a big number": json.dumps({"until": ["9" * 400]}),
    "a null byte": json.dumps({"label": ["\0"]}),
}
_NAMES = ("n" * 5_000, "../" * 50 + "etc/passwd", "%2e%2e%2f" * 20, "sha256:" + "a" * 5_000, "x@sha256:" + "a" * 5_000)


def hostile() -> Iterator[Request]:
    """Lists, names, archives and bodies; nothing of them is kept."""
    for case, text in _LONG.items():
        yield Request(f"list {case}", "GET", f"/v1.41/images/json?filters={quote(text)}")
    for number, name in enumerate(_NAMES):
        for method, what in (("GET", "/json"), ("GET", "/history"), ("GET", "/get"), ("DELETE", "")):
            yield Request(f"{method} name {number}{what}", method, f"/v1.41/images/{name}{what}")
        yield Request(f"tag name {number}", "POST", f"/v1.41/images/one:1/tag?repo={quote(name)}")
    for case, body in _archives().items():
        yield Request(f"load {case}", "POST", "/v1.41/images/load?quiet=1", body)
        yield Request(f"list after {case}", "GET", "/v1.41/images/json?all=1")


def _archives() -> dict[str, bytes]:
    manifest = b"[" + b" " * (100 << 20) + b"]"
    return {
        "a manifest of 100 MiB": gzip.compress(archive({"manifest.json": manifest}), 1, mtime=0),
        "a deep manifest": archive({"manifest.json": _DEEP}),
        "a deep config": archive({"c.json": _DEEP, "manifest.json": '[{"Config":"c.json","Layers":[]}]'}),
    }
