"""An HTTP proxy of the test's own: it knows names that no resolver knows, and remembers what went through it."""

import contextlib
import http.client
import http.server
import socket
import threading
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

__all__ = ["Proxy", "proxy"]

_PIECE = 1 << 16
_HOP = frozenset({"connection", "proxy-connection", "proxy-authorization", "keep-alive", "transfer-encoding"})


@dataclass
class Proxy:
    """A running proxy; `places` are what it reaches, `host:port` as clients say it by where that is.

    `asked` are the `host:port` of tunnels and of plain requests, in order; `authorizations` what clients said to the
    proxy itself.
    """

    places: Mapping[str, str]
    port: int = 0
    asked: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address as HTTP_PROXY has it."""
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def proxy(places: Mapping[str, str]) -> Iterator[Proxy]:
    """Run a proxy on a free loopback port until the block ends."""
    running = Proxy(places)

    class Handler(_Handler):
        state = running

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        running.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    state: Proxy

    def do_CONNECT(self) -> None:
        place = self._note(self.path)
        if place is None:
            self.send_error(502)
            return
        with socket.create_connection(place) as there:
            self.send_response(200)
            self.end_headers()
            back = threading.Thread(target=_copy, args=(there, self.connection))
            back.start()
            _copy(self.connection, there)
            back.join()
        self.close_connection = True

    def _forward(self) -> None:
        parts = urllib.parse.urlsplit(self.path)
        place = self._note(parts.netloc if ":" in parts.netloc else f"{parts.netloc}:80")
        if place is None or parts.scheme != "http":
            self.send_error(502)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        connection = http.client.HTTPConnection(*place)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = urllib.parse.urlunsplit(("", "", parts.path, parts.query, ""))
        connection.request(self.command, target, body or None, headers)
        answer = connection.getresponse()
        data = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"content-length"}:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _forward  # noqa: N815 - the library's names

    def _note(self, place: str) -> tuple[str, int] | None:
        self.state.asked.append(place)
        self.state.authorizations.append(self.headers.get("Proxy-Authorization", ""))
        host, _, port = self.state.places.get(place, "").rpartition(":")
        return (host, int(port)) if host else None

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
