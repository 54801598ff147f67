"""What an address of the outside world holds, for whoever is told to take an archive from there.

The address comes from a client, so the network is a stranger's tool here: addresses that only this machine can reach
for a reason are refused where the connection is made, not where a name is read, and no answer is passed on but a good
one. Proxies are not used: behind one, nobody could say what was connected to.
"""

import base64
import contextlib
import http.client
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self, cast
from urllib.parse import SplitResult, quote, unquote, urljoin

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.remote.connection import Connection, Resolve, look_up, reason
from imagewright.remote.limits import DEFAULT_LIMITS, FetchLimits
from imagewright.remote.urls import PORTS, host_of, parse_url, shown

if TYPE_CHECKING:
    import socket

__all__ = ["Download", "open_url"]

_MOST_REDIRECTS = 5
_PIECE = 256 << 10
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SAFE = "%/:@!$&'()*+,;=~?"
_KINDS: Mapping[int, type[ImagewrightError]] = {400: InvalidInput, 401: Forbidden, 403: Forbidden, 404: NotFound}


class Download:
    """The body at an address, read once; `size` in bytes, None where the server does not say. To be closed.

    `url` is the address that it came from, after redirects, as it may be shown; `location` the same with all that is
    secret in it. `peer` is the network's address that was connected to, `content_type` what the server says of the
    body, empty if nothing; `modified_ns` since when it is like this, 0 if the server does not say.
    """

    def __init__(self, response: http.client.HTTPResponse, location: str, wire: Connection, most: int) -> None:
        self.url = shown(parse_url(location))
        self.location = location
        self.peer = wire.peer
        self.content_type = (response.getheader("Content-Type") or "").strip()
        self.modified_ns = _parse_time(response.getheader("Last-Modified") or "")
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


def open_url(
    url: str,
    cancellation: Cancellation,
    *,
    limits: FetchLimits = DEFAULT_LIMITS,
    resolve: Resolve = look_up,
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
        parts = parse_url(target)
        wire = Connection(cancellation, limits, deadline)
        try:
            response = _get(parts, wire, resolve, tls)
            following = _redirected(response, target, parts)
            if not following:
                _check_status(response.status, parts)
                return Download(response, target, wire, limits.size)
        except BaseException:
            wire.close()
            raise
        wire.close()
        target = following
    raise InvalidInput(f'Get "{shown(parse_url(target))}": stopped after {_MOST_REDIRECTS} redirects')


def _redirected(response: http.client.HTTPResponse, url: str, parts: SplitResult) -> str:
    """Return where `response` sends who asked for `url`, empty if nowhere."""
    location = response.getheader("Location") if response.status in _REDIRECTS else None
    if not location:
        return ""
    following = urljoin(url, location)
    if parts.scheme == "https" and parse_url(following).scheme != "https":
        raise Forbidden(f'Get "{shown(parts)}": redirect from https to http')
    return following


def _get(
    parts: SplitResult, wire: Connection, resolve: Resolve, tls: ssl.SSLContext | None
) -> http.client.HTTPResponse:
    """Ask for `parts`, and return the answer when its headers are there."""
    host, port = host_of(parts), parts.port or PORTS[parts.scheme]
    named = f"[{host}]" if ":" in host else host
    wanted = quote(f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}", safe=_SAFE)
    lines = [
        f"GET {wanted} HTTP/1.1",
        f"Host: {named if port == PORTS[parts.scheme] else f'{named}:{port}'}",
        "User-Agent: imagewright",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    ]
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        lines.append(f"Authorization: Basic {base64.b64encode(secret).decode()}")
    with _translated(shown(parts), wire):
        wire.connect(host, port, resolve)
        if parts.scheme == "https":
            wire.encrypt(tls or ssl.create_default_context(), host)
        wire.send("\r\n".join([*lines, "", ""]).encode("ascii"))
        # All that a response wants of a socket is a file.
        response = http.client.HTTPResponse(cast("socket.socket", wire), method="GET")
        response.begin()
    wire.end_head()
    return response


def _parse_time(text: str) -> int:
    """Return the time that a server says, in nanoseconds since 1970; 0 for what is no time, or an earlier one."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0
    known = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0, int(known.timestamp())) * 1_000_000_000


def _check_status(status: int, parts: SplitResult) -> None:
    if 200 <= status < 300:
        return
    # Not the server's own phrase: nothing that it says is passed on.
    phrase = http.client.responses.get(status, "")
    kind = _KINDS.get(status, SystemFailure)
    raise kind(f"failed to GET {shown(parts)} with status {status} {phrase}".rstrip())


@contextlib.contextmanager
def _translated(url: str, wire: Connection) -> Iterator[None]:
    """Say what went wrong in a way that is fit to be passed on."""
    try:
        yield
    except ImagewrightError as error:
        if isinstance(error, Cancelled):
            raise
        raise type(error)(f'Get "{url}": {error}') from error
    except (OSError, http.client.HTTPException) as error:
        wire.check()
        raise SystemFailure(f'Get "{url}": {reason(error)}') from error
