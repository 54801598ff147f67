"""One HTTP request: over a pooled connection, through a proxy, with TLS as the operator wants it, within limits."""

import http.client
import socket
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import urllib3
import urllib3.exceptions

from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, SystemFailure
from imagewright.registry.addresses import Location, Origin, is_insecure, is_loopback
from imagewright.registry.certificates import has_authorities, tls_context
from imagewright.registry.connections import PlainPool, TlsPool, Watch, watched
from imagewright.registry.failures import Broken, Slow, describe_failure
from imagewright.registry.proxies import find_proxy
from imagewright.registry.settings import Settings

__all__ = ["Payload", "Response", "Transport"]

_IDLE_CONNECTIONS = 16
_ERRORS = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError, AttributeError)

Payload = bytes | Callable[[], Iterator[bytes]]
"""A body: bytes, or something that gives them anew for each request."""


class Response:
    """An answer whose body is read as it comes; `close` lets the connection go, and keeps it if the body was read."""

    def __init__(
        self, raw: urllib3.BaseHTTPResponse, method: str, location: Location, transport: "Transport", watch: Watch
    ) -> None:
        self.status = raw.status
        self.headers = raw.headers
        self.location = location
        self._raw = raw
        self._method = method
        self._transport = transport
        self._watch = watch
        self._waited = 0.0
        self._received = 0
        self.body = b""
        """What `Session.fetch` has read."""

    def read(self, n: int) -> bytes:
        """Return at least one and at most `n` bytes, `b""` at the end; raises `Broken`, also for what comes too slowly.

        Only the time spent waiting for the registry counts, not that between calls.
        """
        clock, settings = self._transport.clock, self._transport.settings
        before = clock()
        try:
            data = self._raw.read1(n, decode_content=False)
        except _ERRORS as error:
            self._raw.close()
            failure = describe_failure(self._method, self.location, error)
            raise failure if isinstance(failure, Broken) else Broken(str(failure)) from error
        self._waited += clock() - before
        self._received += len(data)
        if self._waited >= settings.idle_timeout:
            if data and self._received < settings.minimum_rate * self._waited:
                self._raw.close()
                raise Slow(f'{self._method.capitalize()} "{self.location}": the answer comes too slowly')
            self._waited, self._received = 0.0, 0
        return data

    def read_all(self, limit: int) -> bytes:
        """Return the whole body; raises `Corrupt` if it is more than `limit` bytes, `SystemFailure` if compressed."""
        if self.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
            self._raw.close()
            raise SystemFailure(f'{self._method.capitalize()} "{self.location}": the answer is encoded, unasked')
        parts, size = [], 0
        while data := self.read(min(limit + 1 - size, 1 << 16)):
            parts.append(data)
            size += len(data)
            if size > limit:
                self._raw.close()
                raise Corrupt(f'the answer to {self._method} "{self.location}" is larger than {limit} bytes')
        self.close()
        return b"".join(parts)

    def excerpt(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the body, less where it breaks, and close: for answers that say an error."""
        parts, size = [], 0
        try:
            while size < limit and (data := self.read(limit - size)):
                parts.append(data)
                size += len(data)
        except Broken:
            return b""
        finally:
            self.close()
        return b"".join(parts)

    def abort(self) -> None:
        """Break off a `read` that another thread is in."""
        self._watch.abort()

    def close(self) -> None:
        """Let the connection go; idempotent."""
        if self._raw.closed:
            self._raw.release_conn()
        else:
            self._raw.close()


class Transport:
    """The connections of all clients of one engine; safe to use from many threads."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self._lock = threading.Lock()
        self._pools: dict[tuple[Origin, bool], urllib3.HTTPConnectionPool] = {}
        self._insecure: dict[Origin, bool] = {}

    def close(self) -> None:
        """Drop all idle connections."""
        with self._lock:
            pools, self._pools = list(self._pools.values()), {}
        for pool in pools:
            pool.close()

    def insecure(self, origin: Origin) -> bool:
        """Tell whether the operator listed `origin` as insecure."""
        with self._lock:
            known = self._insecure.get(origin)
        if known is None:
            known = is_insecure(origin, self.settings.insecure, _addresses)
            with self._lock:
                self._insecure[origin] = known
        return known

    def verifies(self, origin: Origin) -> bool:
        """Tell whether the certificate of `origin` is verified: authorities that the operator gave always count."""
        if origin.scheme != "https":
            return False
        lax = is_loopback(origin.host) or self.insecure(origin)
        return not lax or has_authorities(self.settings.certificates, origin)

    def request(
        self,
        method: str,
        location: Location,
        headers: Mapping[str, str],
        payload: Payload | None = None,
        *,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """Send one request and return the answer, whatever its status; redirects are not followed, nothing is repeated.

        Raises `Broken` where the connection broke, `SystemFailure` where there was none, `Cancelled`, and whatever
        a `payload` raises.
        """
        if cancellation is not None:
            cancellation.check()
        watch, source = Watch(), _Source(payload)
        forget = cancellation.on_cancel(watch.abort) if cancellation is not None else _nothing
        # Header lines that drip in, each in time, would keep a request for hours.
        deadline = 4 * self.settings.idle_timeout + self.settings.connect_timeout
        timer = threading.Timer(deadline, watch.abort) if payload is None else None
        try:
            if timer is not None:
                timer.daemon = True
                timer.start()
            with watched(watch):
                raw = self._send(method, location, headers, source)
        except (*_ERRORS, Broken) as error:
            if source.failure is not None:
                raise source.failure from None
            if cancellation is not None:
                cancellation.check()
            raise describe_failure(method, location, error) from error
        finally:
            forget()
            if timer is not None:
                timer.cancel()
        watch.set_timeout(self.settings.idle_timeout)
        return Response(raw, method, location, self, watch)

    def _send(
        self, method: str, location: Location, headers: Mapping[str, str], source: "_Source"
    ) -> urllib3.BaseHTTPResponse:
        pool = self._pool(location.origin)
        answer_timeout = self.settings.idle_timeout if source.payload is None else self.settings.upload_timeout
        target, addressed = location.target, {}
        if pool.proxy is not None and location.origin.scheme == "http":
            # https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2: a proxy is told the whole URL.
            target, addressed = f"{location.origin}{target}", {"Host": location.origin.authority}
        return pool.urlopen(
            method,
            target,
            body=source.body(),
            headers={"User-Agent": self.settings.user_agent, "Accept-Encoding": "identity", **addressed, **headers},
            timeout=urllib3.Timeout(connect=self.settings.connect_timeout, read=answer_timeout),
            retries=False,
            redirect=False,
            assert_same_host=False,
            preload_content=False,
            decode_content=False,
        )

    def _pool(self, origin: Origin) -> urllib3.HTTPConnectionPool:
        verify = self.verifies(origin)
        with self._lock:
            pool = self._pools.get((origin, verify))
            if pool is None:
                pool = self._pools[origin, verify] = self._make_pool(origin, verify=verify)
            return pool

    def _make_pool(self, origin: Origin, *, verify: bool) -> urllib3.HTTPConnectionPool:
        options: dict[str, Any] = {"maxsize": _IDLE_CONNECTIONS, "block": False}
        if origin.scheme == "https":
            options["ssl_context"] = tls_context(self.settings.certificates, origin, verify=verify)
            if not verify:
                options.update(cert_reqs="CERT_NONE", assert_hostname=False)
        kind = TlsPool if origin.scheme == "https" else PlainPool
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        proxy = find_proxy(self.settings.environment, origin)
        if not proxy:
            return kind(host, origin.port, **options)
        manager = _proxy_manager(proxy)
        manager.pool_classes_by_scheme = {"http": PlainPool, "https": TlsPool}
        return manager.connection_from_host(host, origin.port, origin.scheme, pool_kwargs=options)


class _Source:
    """A payload on its way: tells errors of whoever reads it from errors of the connection."""

    def __init__(self, payload: Payload | None) -> None:
        self.payload = payload
        self.failure: BaseException | None = None

    def body(self) -> bytes | Iterable[bytes] | None:
        return self._follow(self.payload()) if callable(self.payload) else self.payload

    def _follow(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            try:
                piece = next(pieces)
            except StopIteration:
                return
            except BaseException as error:
                self.failure = error
                raise
            yield piece


def _proxy_manager(proxy: str) -> urllib3.ProxyManager:
    """Return what makes pools whose connections go through the proxy with this URL."""
    parsed = urllib3.util.parse_url(proxy)
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise SystemFailure("the proxy in the environment is of a kind that is not known: http and https are")
    headers = {}
    if parsed.auth:
        headers = urllib3.make_headers(proxy_basic_auth=urllib.parse.unquote(parsed.auth))
    return urllib3.ProxyManager(parsed._replace(auth=None).url, proxy_headers=headers)


def _addresses(host: str) -> list[str]:
    try:
        return [str(item[4][0]) for item in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)]
    except OSError:
        return []


def _nothing() -> None:
    return None
