"""An engine that takes the build contexts of clients and builds nothing."""

import contextlib
import http.server
import io
import os
import socketserver
import tarfile
import threading
from collections.abc import Iterator

__all__ = ["ContextSink", "context_sink"]


class ContextSink:
    """What clients sent: the answer to every build is success."""

    def __init__(self, host: str) -> None:
        self.host = host
        self._contexts: list[bytes] = []

    def take(self) -> tarfile.TarFile | None:
        """Return the context that came last and forget it; None if none has come."""
        data = self._contexts.pop() if self._contexts else None
        return None if data is None else tarfile.open(fileobj=io.BytesIO(data))

    def put(self, data: bytes) -> None:
        """Keep a context."""
        self._contexts.append(data)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    sink: ContextSink


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""

    def address_string(self) -> str:
        """Return what stands for an address: unix sockets have none."""
        return "client"

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(b"OK")

    def do_POST(self) -> None:
        self.server.sink.put(self._body())
        self._answer(b'{"stream":"Successfully built 0123456789ab\\n"}\r\n')

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("Ostype", "linux")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data


@contextlib.contextmanager
def context_sink(directory: str) -> Iterator[ContextSink]:
    """Serve on a unix socket in `directory` until the block ends."""
    path = os.path.join(directory, "sink.sock")
    with _Server(path, _Handler) as server:
        server.sink = ContextSink(f"unix://{path}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.sink
        finally:
            server.shutdown()
            thread.join()
