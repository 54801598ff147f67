"""What an address of the outside world holds, for whoever is told to take an archive from there.

The address comes from a client, so the network is a stranger's tool here: addresses that only this machine can reach
for a reason are refused where the connection is made, not where a name is read, and no answer is passed on but a good
one. Proxies are not used: behind one, nobody could say what was connected to.
"""

import base64
import contextlib
import errno
import http.client
import io
import ipaddress
import os
import queue
import re
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["Download", "FetchLimits", "Resolve", "open_url"]

_MOST_REDIRECTS = 5
_MOST_HEAD = 64 << 10
_MOST_URL = 8192
_TICK = 0.1
_PIECE = 256 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_SAFE = "%/:@!$&'()*+,;=~?"

# Services of clouds that tell whoever asks from the machine who it is, beyond those at link-local addresses: Amazon's
# in IPv6, Alibaba's, Azure's, Oracle's.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
_HOST = re.compile(r"[A-Za-z0-9._:%-]+")
_KINDS: Mapping[int, type[ImagewrightError]] = {400: InvalidInput, 401: Forbidden, 403: Forbidden, 404: NotFound}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], list[tuple[int, str]]]
"""From a host and a port to address families and addresses; raises `OSError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long a fetch may take, in seconds (to connect, in silence, in all), and the bytes that a body may have."""

    connect: float = 10
    idle: float = 30
    total: float = 15 * 60
    size: int = 4 << 30


_LIMITS = FetchLimits()


class Download:
    """The body at an address, read once; `size` in bytes, None where the server does not say. To be closed."""

    def __init__(self, response: http.client.HTTPResponse, url: str, wire: "_Wire", most: int) -> None:
        self.url = url
        self.size = response.length
        self._response = response
        self._wire = wire
        self._most = most
        self._received = 0
        self._check_size(self.size or 0)

    def read(self, n: int, /) -> bytes:
        """Return some bytes, none at the end.

        Raises `InvalidInput` for a body that is cut or too large, `SystemFailure` for one that does not come, and
        `Cancelled`.
        """
        with _translated(self.url, self._wire):
            try:
                data = self._response.read(min(n, _PIECE))
            except http.client.IncompleteRead as error:
                raise InvalidInput("unexpected EOF") from error
        self._wire.check()
        self._received += len(data)
        self._check_size(self._received)
        if not data and n and self._response.length:
            raise InvalidInput("unexpected EOF")
        return data

    def close(self) -> None:
        """Hang up; idempotent."""
        self._response.close()
        self._wire.close()

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise InvalidInput(f'Get "{self.url}": more than {self._most} bytes')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _look_up(host: str, port: int) -> list[tuple[int, str]]:
    """Return the addresses of `host` with their families, in the order in which the system would try them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, str(address[0])) for family, _, _, _, address in found]


def open_url(
    url: str,
    cancellation: Cancellation,
    *,
    limits: FetchLimits = _LIMITS,
    resolve: Resolve = _look_up,
    tls: ssl.SSLContext | None = None,
) -> Download:
    """Return what is at `url`, an address of http or https; without a scheme it is one of http.

    Follows five redirects, none from https to http, and keeps to `limits`. The machine's own loopback addresses are
    allowed; link-local, multicast and reserved ones, and the metadata services of clouds, are refused, whatever name
    led there. Raises `NotFound`, `Forbidden` or `InvalidInput` where the server says so, `Forbidden` for refused
    addresses, `SystemFailure` where there is no connection or the server fails, and `Cancelled`. Messages hold nothing
    of what the server sent.
    """
    deadline = time.monotonic() + limits.total
    target = url if "://" in url else f"http://{url}"
    for _ in range(_MOST_REDIRECTS + 1):
        parts = _parse(target)
        wire = _Wire(cancellation, limits, deadline)
        try:
            response = _get(parts, wire, resolve, tls)
            following = _redirected(response, target, parts)
            if not following:
                _check_status(response.status, parts)
                return Download(response, _shown(parts), wire, limits.size)
        except BaseException:
            wire.close()
            raise
        wire.close()
        target = following
    raise InvalidInput(f'Get "{_shown(_parse(target))}": stopped after {_MOST_REDIRECTS} redirects')


def _redirected(response: http.client.HTTPResponse, url: str, parts: SplitResult) -> str:
    """Return where `response` sends who asked for `url`, empty if nowhere."""
    location = response.getheader("Location") if response.status in _REDIRECTS else None
    if not location:
        return ""
    following = urljoin(url, location)
    if parts.scheme == "https" and _parse(following).scheme != "https":
        raise Forbidden(f'Get "{_shown(parts)}": redirect from https to http')
    return following


def _get(parts: SplitResult, wire: "_Wire", resolve: Resolve, tls: ssl.SSLContext | None) -> http.client.HTTPResponse:
    """Ask for `parts`, and return the answer when its headers are there."""
    host, port = _host(parts), parts.port or _PORTS[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    wanted = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_SAFE)
    lines = [
        f"GET {wanted} HTTP/1.1",
        f"Host: {named if port == _PORTS[parts.scheme] else f'{named}:{port}'}",
        "User-Agent: imagewright",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(f"Authorization: Basic {base64.b64encode(secret).decode()}")
    with _translated(_shown(parts), wire):
        wire.connect(host, port, resolve)
        if parts.scheme == "https":
            wire.encrypt(tls or ssl.create_default_context(), host)
        wire.send("\r\n".join([*lines, "", ""]).encode("ascii"))
        # All that a response wants of a socket is a file.
        response = http.client.HTTPResponse(cast("socket.socket", wire), method="GET")
        response.begin()
    wire.end_head()
    return response


class _Wire(io.RawIOBase):
    """A connection, from which nothing comes after its time, or after `cancellation`."""

    def __init__(self, cancellation: Cancellation, limits: FetchLimits, deadline: float) -> None:
        self._cancellation = cancellation
        self._limits = limits
        self._deadline = deadline
        self._socket: socket.socket | None = None
        self._head: int | None = _MOST_HEAD
        self._forget: Callable[[], object] = int

    def check(self) -> None:
        """Raise `Cancelled` if it is time for that."""
        self._cancellation.check()

    def connect(self, host: str, port: int, resolve: Resolve) -> None:
        """Connect to `host`; raises `OSError`, and `Forbidden` where only refused addresses have that name."""
        limit = min(time.monotonic() + self._limits.connect, self._deadline)
        failure: Exception | None = None
        for family, address in self._look_up(host, port, resolve, limit):
            if _is_refused(address):
                failure = failure or Forbidden(f"address {address} is refused")
                continue
            try:
                self._socket = self._connect(family, address, port, limit)
            except OSError as error:
                failure = OSError(None, f"dial tcp {_joined(address, port)}: connect: {_reason(error)}")
                continue
            peer = str(self._socket.getpeername()[0])
            if _is_refused(peer):
                raise Forbidden(f"address {peer} is refused")
            self._forget = self._cancellation.on_cancel(self._hang_up)
            return
        raise failure or OSError(None, f"dial tcp: lookup {host}: no address")

    def encrypt(self, tls: ssl.SSLContext, host: str) -> None:
        """Go on with TLS, and with nobody but `host`."""
        if self._socket is not None:
            self._socket.settimeout(self._patience(self._limits.connect))
            self._socket = tls.wrap_socket(self._socket, server_hostname=host)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        if self._socket is not None:
            self._socket.settimeout(self._patience(self._limits.idle))
            self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that a response is read from."""
        return io.BufferedReader(self, _MOST_HEAD)

    def end_head(self) -> None:
        """Say that the headers have been read: from here on the body is counted by others."""
        self._head = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        view = memoryview(buffer).cast("B")
        if self._head is not None:
            view = view[: self._head]
            if not view:
                raise http.client.LineTooLong("header")
        self.check()
        if self._socket is None:
            return 0
        self._socket.settimeout(self._patience(self._limits.idle))
        count = self._socket.recv_into(view)
        self.check()
        if self._head is not None:
            self._head -= count
        return count

    def close(self) -> None:
        self._forget()
        if self._socket is not None:
            self._socket.close()
        super().close()

    def _patience(self, seconds: float) -> float:
        """Return how long to wait for something that may take `seconds`."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return min(seconds, left)

    def _hang_up(self) -> None:
        # Wakes whoever waits for the connection.
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _look_up(self, host: str, port: int, resolve: Resolve, limit: float) -> list[tuple[int, str]]:
        # The system's resolver takes its time and cannot be stopped, so it is left behind.
        answers: queue.SimpleQueue[list[tuple[int, str]] | OSError] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(resolve(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error if isinstance(error, OSError) else OSError(None, "no such host"))

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        while True:
            with contextlib.suppress(queue.Empty):
                found = answers.get(timeout=_TICK)
                if isinstance(found, OSError):
                    raise NotFound(f"dial tcp: lookup {host}: no such host") from found
                return found
            self._wait(limit)

    def _connect(self, family: int, address: str, port: int, limit: float) -> socket.socket:
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            code = connection.connect_ex((address, port))
            if code == errno.EINPROGRESS:
                with selectors.DefaultSelector() as selector:
                    selector.register(connection, selectors.EVENT_WRITE)
                    while not selector.select(_TICK):
                        self._wait(limit)
                code = connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        except BaseException:
            connection.close()
            raise
        if code:
            connection.close()
            raise OSError(code, os.strerror(code))
        return connection

    def _wait(self, limit: float) -> None:
        self.check()
        if time.monotonic() >= limit:
            raise TimeoutError


def _is_refused(address: str) -> bool:
    """Whether nothing may be fetched from `address`, an address of IPv4 or IPv6, or from the one that it stands for."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if any(other is not None and _is_refused(str(other)) for other in inner):
            return True
    # Most of IPv6 is reserved, its loopback address included.
    reserved = ip.version == 4 and ip.is_reserved
    return ip in _METADATA or ip.is_link_local or ip.is_multicast or ip.is_unspecified or reserved


def _parse(url: str) -> SplitResult:
    """Return the parts of `url`; raises `InvalidInput` for what cannot be fetched."""
    if len(url) > _MOST_URL or not url.isprintable():
        raise InvalidInput("the address is too long, or has characters in it that no address has")
    try:
        parts = urlsplit(url)
        host, _ = _host(parts), parts.port
    except ValueError as error:
        raise InvalidInput("the address is malformed") from error
    if parts.scheme not in _PORTS:
        raise InvalidInput(f'Get "{_shown(parts)}": unsupported protocol scheme "{parts.scheme}"')
    if not _HOST.fullmatch(host):
        raise InvalidInput(f'Get "{_shown(parts)}": http: no Host in request URL')
    return parts


def _host(parts: SplitResult) -> str:
    """Return the host of `parts` as it is asked for; raises `ValueError` for a name that no host has."""
    host = parts.hostname or ""
    return host if host.isascii() else host.encode("idna").decode("ascii")


def _shown(parts: SplitResult) -> str:
    """Return the address for a message: without what may be secret in it, its user and its query."""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _check_status(status: int, parts: SplitResult) -> None:
    if 200 <= status < 300:
        return
    # Not the server's own phrase: nothing that it says is passed on.
    phrase = http.client.responses.get(status, "")
    kind = _KINDS.get(status, SystemFailure)
    raise kind(f"failed to GET {_shown(parts)} with status {status} {phrase}".rstrip())


@contextlib.contextmanager
def _translated(url: str, wire: _Wire) -> Iterator[None]:
    """Say what went wrong in a way that is fit to be passed on."""
    try:
        yield
    except ImagewrightError as error:
        if isinstance(error, Cancelled):
            raise
        raise type(error)(f'Get "{url}": {error}') from error
    except (OSError, http.client.HTTPException) as error:
        wire.check()
        raise SystemFailure(f'Get "{url}": {_reason(error)}') from error


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"tls: {getattr(error, 'verify_message', '') or 'handshake failed'}".lower()
    if isinstance(error, http.client.HTTPException):
        return "malformed HTTP response"  # in its own words is what the server said
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[:1].lower() + error.strerror[1:]
    return "i/o timeout" if isinstance(error, TimeoutError) else "input/output error"


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
