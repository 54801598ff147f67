"""A small HTTP server on a unix socket that answers what a test tells it to, and remembers what it was asked."""

import contextlib
import http.server
import os
import socketserver
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Answer", "Request", "ScriptedEngine", "scripted_engine"]


@dataclass(frozen=True)
class Answer:
    """What the server says; `early` is for a refusal that does not wait for the body."""

    body: bytes = b""
    status: int = 200
    early: bool = False
    content_type: str = "application/json"


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ScriptedEngine:
    """`answers` by `METHOD /path`; anything else is a 404 as the engine's."""

    socket: str
    answers: Mapping[str, Answer]
    requests: list[Request] = field(default_factory=list)

    @property
    def host(self) -> str:
        """The address as a command takes it."""
        return f"unix://{self.socket}"


@contextlib.contextmanager
def scripted_engine(answers: Mapping[str, Answer]) -> Iterator[ScriptedEngine]:
    """Serve `answers` until the block ends."""
    with tempfile.TemporaryDirectory(prefix="scripted-") as directory:
        engine = ScriptedEngine(os.path.join(directory, "s"), answers)

        class Handler(_Handler):
            script = engine

        with socketserver.ThreadingUnixStreamServer(engine.socket, Handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield engine
            finally:
                server.shutdown()
                thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    script: ScriptedEngine

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it overrides
        pass

    def _answer(self) -> None:
        url = urllib.parse.urlsplit(self.path)
        missing = Answer(b'{"message":"page not found"}\n', 404)
        answer = self.script.answers.get(f"{self.command} {url.path}", missing)
        body = b"" if answer.early else self._read_body()
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        self.script.requests.append(Request(self.command, url.path, query, body, dict(self.headers)))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - the names that the library looks for

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body
