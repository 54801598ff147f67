import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.remote import Download, FetchLimits, Resolve, open_url

_Answer = bytes | Callable[[socket.socket], None]

_OK = b"HTTP/1.1 200 OK\r\n\r\n"
# Without certificates: what is encrypted with whom is not what these tests are about.
_CIPHERS = "ADH-AES128-SHA256:AECDH-AES128-SHA:@SECLEVEL=0"


@dataclass
class _Server:
    """A server on the loopback address, and what it was sent."""

    port: int
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/x"


@contextlib.contextmanager
def _serve(*answers: _Answer, tls: ssl.SSLContext | None = None) -> Iterator[_Server]:
    """Give each of `answers` to one connection, in order; when the block ends, all is hung up."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        server = _Server(listening.getsockname()[1])
        open_sockets: list[socket.socket] = []

        def run() -> None:
            for answer in answers:
                with contextlib.suppress(OSError):
                    connection = listening.accept()[0]
                    if tls is not None:
                        connection = tls.wrap_socket(connection, server_side=True)
                    open_sockets.append(connection)
                    with connection:
                        server.requests.append(connection.recv(65536))
                        if callable(answer):
                            answer(connection)
                        else:
                            connection.sendall(answer)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield server
        finally:
            for hung in [listening, *open_sockets]:
                with contextlib.suppress(OSError):
                    hung.shutdown(socket.SHUT_RDWR)
            thread.join()


def _redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 6\r\n\r\nsecret".encode()


def _fetch(url: str, *, limits: FetchLimits | None = None, **options: object) -> bytes:
    with open_url(url, Cancellation(), limits=limits or FetchLimits(), **options) as download:  # type: ignore[arg-type]
        return _read(download)


def _read(download: Download) -> bytes:
    pieces = []
    while piece := download.read(1 << 20):
        pieces.append(piece)
    return b"".join(pieces)


def _named(*addresses: str) -> Resolve:
    def resolve(_host: str, _port: int) -> list[tuple[int, str]]:
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address) for address in addresses]

    return resolve


@pytest.mark.parametrize(
    ("answer", "size"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde", 5),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde and more", 5),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", None),
        (b"HTTP/1.0 200 OK\r\n\r\nabcde", None),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 203 OK\r\n\r\nabcde", None),
    ],
)
def test_bodies(answer: bytes, size: int | None) -> None:
    with _serve(answer) as server, open_url(server.url, Cancellation()) as download:
        assert (download.size, download.url, _read(download)) == (size, server.url, b"abcde")
    assert server.requests[0].split(b"\r\n")[:2] == [b"GET /x HTTP/1.1", f"Host: 127.0.0.1:{server.port}".encode()]
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


def test_a_large_body() -> None:
    body = bytes(range(256)) * (1 << 14)
    with _serve(_OK + body) as server:
        assert _fetch(server.url) == body


def test_an_address_without_a_scheme_or_a_path() -> None:
    with _serve(_OK + b"a") as server:
        assert _fetch(f"127.0.0.1:{server.port}") == b"a"
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


def test_what_an_address_may_hold() -> None:
    with _serve(_OK) as server:
        _fetch(f"http://user:pass%20word@127.0.0.1:{server.port}/a b/é%20?q=1 2&r=ü#fragment")
    lines = server.requests[0].split(b"\r\n")
    assert lines[0] == b"GET /a%20b/%C3%A9%20?q=1%202&r=%C3%BC HTTP/1.1"
    assert b"Authorization: Basic dXNlcjpwYXNzIHdvcmQ=" in lines


def test_hosts_in_other_scripts() -> None:
    asked = []

    def resolve(host: str, _port: int) -> list[tuple[int, str]]:
        asked.append(host)
        return [(socket.AF_INET, "127.0.0.1")]

    with _serve(_OK) as server:
        _fetch(f"http://bücher.example:{server.port}/", resolve=resolve)
    assert asked == ["xn--bcher-kva.example"]
    assert f"Host: xn--bcher-kva.example:{server.port}\r\n".encode() in server.requests[0]


def test_the_next_address_is_tried() -> None:
    with _serve(_OK + b"a") as server:
        url = f"http://a.example:{server.port}/"
        assert _fetch(url, resolve=_named("169.254.169.254", "127.0.0.2", "127.0.0.1")) == b"a"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://",
        "http:///x",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "http://[::1/",
        "http://a b/",
        "http://a\nb/",
        "http://127.0.0.1:1/\r\nHost: x",
        "http://\udcff/",
        f"http://{'ü' * 80}/",
        f"http://127.0.0.1:1/{'x' * 9000}",
        "",
    ],
)
def test_addresses_that_cannot_be_fetched(url: str) -> None:
    with pytest.raises(InvalidInput):
        _fetch(url, resolve=_named("127.0.0.1"))


def test_redirects_are_followed() -> None:
    with _serve(_OK + b"there") as last, _serve(_redirect(f"http://127.0.0.1:{last.port}/last", 307)) as other:
        hops = [_redirect("/two?a=b", 301), _redirect("three", 303), _redirect(f"//127.0.0.1:{other.port}/four", 308)]
        with _serve(*hops) as first:
            assert _fetch(f"http://user:secret@127.0.0.1:{first.port}/a/one") == b"there"
    paths = [request.split(b" ")[1] for request in first.requests + other.requests + last.requests]
    assert paths == [b"/a/one", b"/two?a=b", b"/three", b"/four", b"/last"]
    assert [b"Authorization" in request for request in first.requests] == [True, True, True]
    assert not any(b"Authorization" in request for request in other.requests + last.requests)


def test_redirects_without_end() -> None:
    with _serve(*[_redirect("/x")] * 6) as server, pytest.raises(InvalidInput, match="stopped after 5 redirects"):
        _fetch(server.url)
    assert len(server.requests) == 6


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "file:///etc/passwd", "http://127.0.0.1:0x/"])
def test_redirects_to_what_cannot_be_fetched(location: str) -> None:
    with _serve(_redirect(location)) as server, pytest.raises(InvalidInput):
        _fetch(server.url)


def test_no_redirect_from_https_to_http() -> None:
    contexts = [ssl.SSLContext(kind) for kind in (ssl.PROTOCOL_TLS_SERVER, ssl.PROTOCOL_TLS_CLIENT)]
    contexts[1].check_hostname = False
    contexts[1].verify_mode = ssl.CERT_NONE
    for context in contexts:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
    with _serve(_OK + b"secret") as plain:
        with _serve(_redirect("/two"), _redirect(plain.url), tls=contexts[0]) as server:
            with pytest.raises(Forbidden, match="redirect from https to http"):
                _fetch(f"https://127.0.0.1:{server.port}/", tls=contexts[1])
            assert len(server.requests) == 2
        assert not plain.requests
        assert _fetch(plain.url) == b"secret"


def test_servers_that_nobody_vouches_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    with _serve(_OK, tls=context) as server, pytest.raises(SystemFailure, match="tls: handshake failed"):
        _fetch(f"https://127.0.0.1:{server.port}/")
    with _serve(b"no TLS") as server, pytest.raises(SystemFailure, match="tls: handshake failed"):
        _fetch(f"https://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "0.0.0.0",  # noqa: S104
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::169.254.169.254",
        "2002:a9fe:a9fe::1",
    ],
)
def test_addresses_that_are_refused_before_anything_is_sent(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with _serve(_redirect(f"http://{host}/latest/meta-data/")) as server, pytest.raises(Forbidden, match="is refused"):
        _fetch(server.url)
    with pytest.raises(Forbidden, match="is refused"):
        _fetch(f"http://{host}/")
    with pytest.raises(Forbidden, match=r'^Get "http://a.example/": address .* is refused$'):
        _fetch("http://a.example/?secret", resolve=_named(address))


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"])
def test_other_ways_to_write_an_address(host: str) -> None:
    with pytest.raises(Forbidden, match=r"address 169\.254\.169\.254 is refused"):
        _fetch(f"http://{host}/")


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (400, InvalidInput, "400 Bad Request"),
        (401, Forbidden, "401 Unauthorized"),
        (403, Forbidden, "403 Forbidden"),
        (404, NotFound, "404 Not Found"),
        (500, SystemFailure, "500 Internal Server Error"),
        (599, SystemFailure, "599"),
        (304, SystemFailure, "304 Not Modified"),
    ],
)
def test_answers_that_are_not_good(status: int, kind: type[ImagewrightError], text: str) -> None:
    answer = f"HTTP/1.1 {status} secret\r\nX: secret\r\nContent-Length: 6\r\n\r\nsecret".encode()
    with _serve(answer) as server, pytest.raises(kind) as caught:
        _fetch(f"http://user:secret@127.0.0.1:{server.port}/x?secret")
    assert str(caught.value) == f"failed to GET http://127.0.0.1:{server.port}/x with status {text}"


@pytest.mark.parametrize(
    "answer",
    [b"", b"SSH-2.0-secret\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"secret" * 20_000, b"HTTP/1.1 100 C\r\n\r\n" * 5000],
)
def test_servers_that_speak_otherwise(answer: bytes) -> None:
    with _serve(answer) as server, pytest.raises(SystemFailure) as caught:
        _fetch(server.url)
    assert str(caught.value).startswith(f'Get "{server.url}": ')
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_cut_bodies(answer: bytes) -> None:
    with _serve(answer) as server, pytest.raises(InvalidInput, match="unexpected EOF"):
        _fetch(server.url)


def test_connection_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(SystemFailure) as caught:
        _fetch(f"http://127.0.0.1:{port}/x")
    where = f"127.0.0.1:{port}"
    assert str(caught.value) == f'Get "http://{where}/x": dial tcp {where}: connect: connection refused'


def test_names_of_nobody() -> None:
    def resolve(_host: str, _port: int) -> list[tuple[int, str]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(NotFound, match=r'^Get "http://a.example/": dial tcp: lookup a.example: no such host$'):
        _fetch("http://a.example/", resolve=resolve)
    with pytest.raises(SystemFailure, match=r"dial tcp: lookup a\.example: no address"):
        _fetch("http://a.example/", resolve=_named())


def _drip(connection: socket.socket) -> None:
    """Send a byte now and then, until the other side hangs up."""
    with contextlib.suppress(OSError):
        connection.sendall(_OK)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)


def _drip_headers(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"X: y\r\n")
            time.sleep(0.02)


def _endless(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(_OK)
        while True:
            connection.sendall(bytes(65536))


def _silent(connection: socket.socket) -> None:
    connection.recv(1)


def _soon_silent(connection: socket.socket) -> None:
    connection.sendall(_OK + b"x")
    _silent(connection)


@pytest.mark.parametrize("answer", [_drip, _drip_headers, _endless])
def test_everything_has_an_end(answer: Callable[[socket.socket], None]) -> None:
    begun = time.monotonic()
    with _serve(answer) as server, pytest.raises(SystemFailure, match="i/o timeout"):
        _fetch(server.url, limits=FetchLimits(total=0.3))
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("answer", [_silent, _soon_silent])
def test_silence_has_an_end(answer: Callable[[socket.socket], None]) -> None:
    with _serve(answer) as server, pytest.raises(SystemFailure, match="i/o timeout"):
        _fetch(server.url, limits=FetchLimits(idle=0.1))


def test_a_connection_that_does_not_come_about() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening, contextlib.ExitStack() as stack:
        address = listening.getsockname()
        for _ in range(2):  # until the queue is full, and nobody is let in
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(address)
        with pytest.raises(SystemFailure, match="i/o timeout"):
            _fetch(f"http://127.0.0.1:{address[1]}/", limits=FetchLimits(connect=0.2))


def test_a_name_that_nobody_answers_for() -> None:
    done = threading.Event()

    def resolve(_host: str, _port: int) -> list[tuple[int, str]]:
        done.wait(5)
        return []

    try:
        with pytest.raises(SystemFailure, match="i/o timeout"):
            _fetch("http://a.example/", limits=FetchLimits(connect=0.2), resolve=resolve)
    finally:
        done.set()


def test_bodies_that_are_too_large() -> None:
    limits = FetchLimits(size=1000)
    with _serve(_endless) as server, pytest.raises(InvalidInput, match="more than 1000 bytes"):
        _fetch(server.url, limits=limits)
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n"
    with _serve(answer) as server, pytest.raises(InvalidInput, match="more than 1000 bytes"):
        _fetch(server.url, limits=limits)


@pytest.mark.parametrize("answer", [_silent, _drip])
def test_cancelled(answer: Callable[[socket.socket], None]) -> None:
    cancellation = Cancellation()
    timer = threading.Timer(0.1, cancellation.cancel)
    timer.start()
    begun = time.monotonic()
    with _serve(answer) as server, pytest.raises(Cancelled), open_url(server.url, cancellation) as download:
        _read(download)
    timer.join()
    assert time.monotonic() - begun < 5
    with pytest.raises(Cancelled):
        open_url("http://127.0.0.1:1/", cancellation)
