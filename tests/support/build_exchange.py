"""One `POST /build`, and its answer as it came: the chunks apart, for what they are is part of the protocol."""

import contextlib
import http.client
import io
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BuildAnswer", "post_build"]

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class BuildAnswer:
    """An answer; `chunks` is empty for one that was sent whole, `status` 0 if there was none."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    chunks: tuple[bytes, ...] = ()

    def header(self, name: str) -> str:
        """Return the value of a header, "" if it is not there."""
        return next((value for key, value in self.headers if key.lower() == name), "")

    @property
    def streamed(self) -> bool:
        """Whether this is the stream of a build."""
        return self.status == 200 and self.header("content-type").startswith("application/json")

    @property
    def messages(self) -> list[Any]:
        """The JSON documents of the body, in order; raises `ValueError` for anything else."""
        decoder = json.JSONDecoder()
        text = self.body.decode()
        messages, position = [], 0
        while position < len(text):
            message, position = decoder.raw_decode(text, position)
            messages.append(message)
            position += len(text[position:]) - len(text[position:].lstrip())
        return messages

    @property
    def framing(self) -> str:
        """How the body was framed, `a message a chunk` if each chunk is one document and CR LF."""
        if not self.chunks:
            return "length" if self.header("content-length") else "close"
        odd = [chunk for chunk in self.chunks if not _is_message(chunk)]
        return f"chunks such as {odd[0][:200]!r}" if odd else "a message a chunk"


def post_build(path: str, target: str, body: bytes, headers: Mapping[str, str], *, timeout: float = 60) -> BuildAnswer:
    """Send the request to the unix socket at `path` over a connection of its own; `timeout` in seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        lines = [f"POST {target} HTTP/1.1", "Host: docker", *(f"{name}: {value}" for name, value in headers.items())]
        lines.append(f"Content-Length: {len(body)}")
        with contextlib.suppress(ConnectionError):
            # An engine may answer before it has heard all, and close.
            connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        with connection.makefile("rb") as answer:
            return _read(answer)


def _read(answer: Any) -> BuildAnswer:
    try:
        status = int(answer.readline().split()[1])
    except (IndexError, ConnectionError):
        return BuildAnswer(0, (), b"")
    headers = tuple(http.client.parse_headers(answer).items())
    names = {name.lower(): value for name, value in headers}
    if names.get("transfer-encoding") == "chunked":
        chunks = tuple(_chunks(answer))
        return BuildAnswer(status, headers, b"".join(chunks), chunks)
    length = names.get("content-length")
    return BuildAnswer(status, headers, answer.read(int(length)) if length else answer.read())


def _chunks(answer: io.BufferedReader) -> list[bytes]:
    chunks = []
    while size := int(answer.readline().strip() or b"0", 16):
        chunks.append(answer.read(size))
        answer.readline()
    return chunks


def _is_message(chunk: bytes) -> bool:
    try:
        json.loads(chunk[:-2].decode())
    except ValueError:
        return False
    return chunk.endswith(b"}\r\n") and chunk.count(b"\n") == 1
