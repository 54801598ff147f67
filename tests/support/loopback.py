"""An HTTP server on a loopback address that can break every rule, and remembers who told it what.

An answer is a value; what is wrong with it (cut short, dripped, endless, a lying length) is part of the value. Which
answers go wrong, and how often, is a table of `Fault`s.
"""

import contextlib
import http.server
import re
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BufferedIOBase
from typing import ClassVar, Protocol

__all__ = ["Body", "Drop", "Fault", "LoopbackServer", "Request", "Response", "loopback_server"]

_PIECE = 1 << 16
# An endless body ends all the same, should nobody hang up: a test that gets there has failed already.
_ENDLESS = 1 << 28
# Seconds; longer than any test waits.
_STALL = 30
_LINGER_NOT = struct.pack("ii", 1, 0)


class Body(Protocol):
    """The bytes that come with a request; `seen` are those that were read, as far as they are few."""

    seen: bytes

    def read(self, n: int = -1, /) -> bytes:
        """Return at most `n` bytes, all of them without `n`."""
        ...


class Drop(Exception):
    """Raised by an answering function: the connection ends here, without a word."""


@dataclass(frozen=True, slots=True)
class Response:
    """What is sent.

    `cut` ends the connection after so many bytes of the body, `cut_head` after so many of what comes before the body,
    with a TCP reset if `reset`; `stall` is how many bytes of the body are sent before nothing more happens; `drip` is a
    pause in seconds after each byte; `endless` repeats the body, in chunks; `length` is a Content-Length that need not
    be true.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    cut_head: int | None = None
    reset: bool = False
    stall: int | None = None
    drip: float = 0
    endless: bool = False
    length: int | None = None


@dataclass(slots=True)
class Request:
    """What the server was asked: `server` is the `host:port` that was reached, `target` is as it was sent."""

    server: str
    scheme: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: "Body"
    peer_certificate: bool = False

    @property
    def path(self) -> str:
        """The path, decoded, without the query."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.target).path)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query, decoded."""
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.target).query, keep_blank_values=True)

    @property
    def authorization(self) -> str:
        """The Authorization header, empty if there is none."""
        return self.headers.get("authorization", "")


@dataclass
class Fault:
    """What goes wrong with requests whose `METHOD /path` matches `pattern` in full; the first fault that matches wins.

    It spares the first `spared` of them, and strikes the next `times`. `prepare` sees the request before it is
    answered, and may raise `Drop`; `change` makes another answer of the right one. With `instead` the server does not
    learn of the request, and `change` is given an empty answer.
    """

    pattern: str
    change: Callable[[Request, Response], Response] | None = None
    prepare: Callable[[Request], None] | None = None
    times: int = 1 << 30
    spared: int = 0
    instead: bool = False


@dataclass
class LoopbackServer:
    """A running server; `requests` holds all that it was asked, in order, and `sent` counts bytes of bodies."""

    address: str
    port: int
    scheme: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def host(self) -> str:
        """The `host:port`, as references have it."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"

    @property
    def url(self) -> str:
        """The root, without a slash at the end."""
        return f"{self.scheme}://{self.host}"

    @property
    def asked(self) -> list[str]:
        """All requests as `METHOD /path`."""
        return [f"{request.method} {request.path}" for request in self.requests]

    @property
    def authorizations(self) -> set[str]:
        """Every Authorization header that was seen here."""
        return {request.authorization for request in self.requests} - {""}

    def count(self, pattern: str) -> int:
        """Return how many requests, as `METHOD /path`, match `pattern` in full."""
        return sum(re.fullmatch(pattern, asked) is not None for asked in self.asked)

    def strike(self, request: Request) -> Fault | None:
        """Note the request; return what is to go wrong with it."""
        with self.lock:
            self.requests.append(request)
            for fault in self.faults:
                if fault.times and re.fullmatch(fault.pattern, f"{request.method} {request.path}"):
                    if fault.spared:
                        fault.spared -= 1
                        return None
                    fault.times -= 1
                    return fault
        return None


@contextlib.contextmanager
def loopback_server(
    answer: Callable[[Request], Response], *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[LoopbackServer]:
    """Serve what `answer` says on a free port of `address` until the block ends; then no thread and no socket is left.

    `answer` is called in a thread for each connection.
    """

    class Handler(_Handler):
        reply = staticmethod(answer)

    with _Server(address, Handler, tls) as server:
        Handler.record = LoopbackServer(address, server.server_address[1], "https" if tls else "http")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield Handler.record
        finally:
            Handler.record.stopping.set()
            server.shutdown()
            thread.join()
            server.hang_up()


class _Server(http.server.ThreadingHTTPServer):
    # Threads are waited for, so that none outlives its test; `hang_up` sees to it that they end.
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, address: str, handler: type["_Handler"], tls: ssl.SSLContext | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._tls = tls
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__((address, 0), handler)

    def server_bind(self) -> None:
        # The library's own asks a name server what its address is called.
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def get_request(self) -> tuple[socket.socket, object]:
        connection, peer = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up is what these tests are about."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are written one after the other, and a client's kernel is in no hurry to confirm the head.
    disable_nagle_algorithm = True
    reply: Callable[[Request], Response]
    record: ClassVar[LoopbackServer]

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(20)
            self.request.do_handshake()
        super().setup()

    def handle(self) -> None:
        # A client that tries TLS where there is none waits for an answer, and the library for the end of a line.
        if isinstance(self.request, ssl.SSLSocket) or self.request.recv(1, socket.MSG_PEEK) != b"\x16":
            super().handle()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""

    def do(self) -> None:
        body = _Body(self.rfile, self.headers.get("content-length"), self.headers.get("transfer-encoding", ""))
        headers = {name.lower(): value for name, value in self.headers.items()}
        known = isinstance(self.connection, ssl.SSLSocket) and bool(self.connection.getpeercert())
        record = self.record
        request = Request(record.host, record.scheme, self.command, self.path, headers, body, known)
        fault = record.strike(request)
        try:
            response = self._answer(request, fault)
        except Drop:
            self._break(reset=True)
            return
        while body.read(_PIECE):
            pass
        self._send(response)

    def _answer(self, request: Request, fault: Fault | None) -> Response:
        if fault is None:
            return self.reply(request)
        if fault.prepare is not None:
            fault.prepare(request)
        response = Response() if fault.instead else self.reply(request)
        return response if fault.change is None else fault.change(request, response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = do  # noqa: N815 - the library's names

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        length = len(response.body) if response.length is None else response.length
        if response.endless:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status != 204 and "Content-Length" not in response.headers:
            self.send_header("Content-Length", str(length))
        if response.cut_head is not None:
            self._cut_head(response.cut_head, reset=response.reset)
            return
        self.end_headers()
        if self.command == "HEAD" or response.status in {204, 304}:
            return
        if response.endless:
            self._send_endless(response.body)
        else:
            self._send_body(response)

    def _send_body(self, response: Response) -> None:
        body = response.body if response.cut is None else response.body[: response.cut]
        if response.stall is not None:
            self.wfile.write(body[: response.stall])
            self.record.stopping.wait(_STALL)
            self._break(reset=True)
            return
        if response.drip:
            for byte in body:
                if self.record.stopping.wait(response.drip):
                    break
                self.wfile.write(bytes((byte,)))
                self.record.sent += 1
        else:
            self.wfile.write(body)
            self.record.sent += len(body)
        if response.cut is not None or (response.length is not None and response.length != len(body)):
            self._break(reset=response.reset)

    def _cut_head(self, position: int, *, reset: bool) -> None:
        # The library gathers the lines of the head, and writes them at the end.
        lines: list[bytes] = vars(self).pop("_headers_buffer")
        self.wfile.write(b"".join((*lines, b"\r\n"))[:position])
        self._break(reset=reset)

    def _send_endless(self, body: bytes) -> None:
        chunk = b"%x\r\n%b\r\n" % (len(body), body)
        for _ in range(_ENDLESS // len(body)):
            if self.record.stopping.is_set():
                break
            self.wfile.write(chunk)
            self.record.sent += len(body)
        self._break(reset=False)

    def _break(self, *, reset: bool) -> None:
        self.close_connection = True
        if reset:
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            # `shutdown` would send an orderly end before the reset.
            self.connection.close()


class _Body:
    """The body of a request, read as far as it is asked for."""

    def __init__(self, stream: BufferedIOBase, length: str | None, encoding: str) -> None:
        self._stream = stream
        self._chunked = encoding.lower() == "chunked"
        self._left = int(length or 0)
        self._ended = not self._chunked and self._left == 0
        self.seen = b""

    def read(self, n: int = -1, /) -> bytes:
        pieces = []
        while n and not self._ended and (piece := self._piece(_PIECE if n < 0 else n)):
            pieces.append(piece)
            n = n if n < 0 else n - len(piece)
        return b"".join(pieces)

    def _piece(self, n: int) -> bytes:
        if self._chunked and not self._left:
            self._left = int(self._stream.readline().partition(b";")[0], 16)
            if not self._left:
                self._stream.readline()
                self._ended = True
                return b""
        piece = self._stream.read(min(n, self._left))
        self._left -= len(piece)
        self.seen = (self.seen + piece)[:_PIECE]
        if not piece:
            raise ConnectionResetError
        if self._left == 0:
            if self._chunked:
                self._stream.readline()
            else:
                self._ended = True
        return piece
