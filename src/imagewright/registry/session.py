"""Requests to registries as they have to be made: authenticated, redirected with care, repeated with patience."""

import http
import threading
import time
from collections.abc import Callable, Mapping

from imagewright.cancellation import Cancellation
from imagewright.errors import Forbidden, ImagewrightError, InvalidInput, SystemFailure, Unavailable
from imagewright.reference import DEFAULT_REGISTRY
from imagewright.registry.addresses import Location, Origin, is_loopback, parse_location, parse_registry
from imagewright.registry.authentication import Authenticator, Endpoint, covers
from imagewright.registry.challenges import Challenge, parse_challenges
from imagewright.registry.credentials import Keychain, registry_host
from imagewright.registry.failures import Answer, Broken, answer_error, read_answer, retry_after
from imagewright.registry.transport import Payload, Response, Transport

__all__ = ["ERROR_LIMIT", "Known", "Session", "told_location"]

Known = dict[str, tuple[Endpoint, tuple[Challenge, ...]]]
"""What was found out about registries and mirrors, by name: where they are, and how they challenge."""

ERROR_LIMIT = 64 << 10
"""How much of an answer that says an error is read, in bytes."""

_HUB_API = "registry-1.docker.io"
_REDIRECTS = 5
_TOKEN_LIMIT = 1 << 20
_AUTH_ATTEMPTS = 3
_REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
_REPEATING_STATUSES = frozenset({307, 308})
_REPEATED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})


class Session:
    """One keychain's way to registries over shared connections; safe to use from many threads."""

    def __init__(
        self,
        transport: Transport,
        keychain: Keychain,
        endpoints: Known,
        sleep: Callable[[float], object] | None,
    ) -> None:
        self.transport = transport
        self.settings = transport.settings
        self._endpoints = endpoints
        self._sleep = sleep
        # Threads that begin at the same time find a registry out once.
        self._probing = threading.Lock()
        self.authenticator = Authenticator(transport, keychain, self._ask_realm)

    def origin_endpoint(self, registry: str, cancellation: Cancellation | None = None) -> Endpoint:
        """Return where the registry named `registry` (as in `Reference`) is reached, having found out how."""
        known = self._endpoints.get(registry)
        if known is None:
            with self._probing:
                known = self._endpoints.get(registry)
                if known is None:
                    host = _HUB_API if registry == DEFAULT_REGISTRY else registry
                    known = self._endpoints[registry] = self._probe(registry, host, cancellation)
        endpoint, challenges = known
        self.authenticator.introduce(endpoint, challenges)
        return endpoint

    def pull_endpoints(self, registry: str) -> list[Callable[[Cancellation | None], Endpoint]]:
        """Return how to reach what `registry` offers, in the order to try: for Docker Hub its mirrors come first."""
        mirrors = self.settings.mirrors if registry == DEFAULT_REGISTRY else ()
        ways: list[Callable[[Cancellation | None], Endpoint]] = [
            lambda cancellation, mirror=mirror: self._mirror_endpoint(mirror, cancellation)  # type: ignore[misc]
            for mirror in mirrors
        ]
        return [*ways, lambda cancellation: self.origin_endpoint(registry, cancellation)]

    def _mirror_endpoint(self, mirror: str, cancellation: Cancellation | None) -> Endpoint:
        """Return where a mirror is; unlike a registry's, its scheme is the operator's word."""
        known = self._endpoints.get(mirror)
        if known is None:
            location = parse_location(mirror if "://" in mirror else f"https://{mirror}")
            prefix = location.target.partition("?")[0].rstrip("/")
            endpoint = Endpoint(
                registry_host(location.origin.authority),
                location.origin,
                prefix,
                self.transport.verifies(location.origin),
            )
            known = self._endpoints[mirror] = (endpoint, self._ping(endpoint, cancellation))
        self.authenticator.introduce(*known)
        return known[0]

    def _probe(
        self, registry: str, host: str, cancellation: Cancellation | None
    ) -> tuple[Endpoint, tuple[Challenge, ...]]:
        """Find out whether the registry speaks TLS, if it may do without, and what it challenges with."""
        origin = parse_registry(host, "https")
        verified = self.transport.verifies(origin)
        secure = Endpoint(registry, origin, verified=verified)
        if verified:
            return secure, self._ping(secure, cancellation)
        # The engine's order: TLS without verification, then without TLS.
        try:
            return secure, self._ping(secure, cancellation)
        except SystemFailure as error:
            plain = Endpoint(registry, parse_registry(host, "http"))
            try:
                return plain, self._ping(plain, cancellation)
            except SystemFailure as second:
                raise second from error

    def _ping(self, endpoint: Endpoint, cancellation: Cancellation | None) -> tuple[Challenge, ...]:
        """Return how the registry challenges an anonymous `GET /v2/`.

        https://github.com/opencontainers/distribution-spec/blob/main/spec.md#determining-support
        """
        location = Location(endpoint.origin, f"{endpoint.prefix}/v2/")
        response = self._repeat(
            lambda: self._follow(endpoint, "GET", location, {}, cancellation=cancellation),
            cancellation,
            give_up=endpoint.origin.scheme == "https" and not endpoint.verified,
        )
        found = parse_challenges(response.headers.getlist("WWW-Authenticate"))
        response.excerpt(ERROR_LIMIT)
        return found if response.status == http.HTTPStatus.UNAUTHORIZED else ()

    def send(
        self,
        endpoint: Endpoint,
        method: str,
        location: Location,
        scopes: frozenset[str],
        *,
        headers: Mapping[str, str] | None = None,
        payload: Payload | None = None,
        limit: int = 0,
        resume: bool = False,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """Send a request that may be repeated, and return the answer, whatever its status.

        Broken connections and statuses that may pass are repeated; raises what remains after the last. With a `limit`
        an answer of 200 has its `body` read, which must not be more bytes. With `resume`, the caller sees to broken
        connections.
        """

        def ask() -> Response:
            response = self.send_once(
                endpoint, method, location, scopes, headers=headers, payload=payload, cancellation=cancellation
            )
            return _with_body(response, limit, cancellation)

        return self._repeat(ask, cancellation, resume=resume)

    def send_once(
        self,
        endpoint: Endpoint,
        method: str,
        location: Location,
        scopes: frozenset[str],
        *,
        headers: Mapping[str, str] | None = None,
        payload: Payload | None = None,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """Send a request with the authorization it needs, at most once more for each better one, and return the answer.

        Only a request to the endpoint's own origin carries an authorization, and only a challenge from there counts.
        """
        for attempt in range(1, _AUTH_ATTEMPTS + 1):
            sent, better = dict(headers or {}), False
            if location.origin == endpoint.origin:
                authorization, better = self.authenticator.authorize(endpoint, scopes, cancellation)
                if authorization:
                    sent["Authorization"] = authorization
            response = self._follow(endpoint, method, location, sent, payload=payload, cancellation=cancellation)
            if response.status != http.HTTPStatus.UNAUTHORIZED or response.location.origin != endpoint.origin:
                self.authenticator.accept(sent.get("Authorization", ""))
                break
            challenge = self.authenticator.learn(
                endpoint, parse_challenges(response.headers.getlist("WWW-Authenticate"))
            )
            told = frozenset((challenge.parameters.get("scope", "") if challenge else "").split())
            wider = scopes if covers(scopes, told) else scopes | told
            before = sent.get("Authorization", "")
            # https://www.rfc-editor.org/rfc/rfc6750#section-3.1: such a token is good, and another is no better.
            lacking = challenge is not None and challenge.parameters.get("error") == "insufficient_scope"
            better = (better and not lacking) or wider != scopes or not before
            if challenge is None or attempt == _AUTH_ATTEMPTS or not better:
                break
            if not self._hopeful(endpoint, challenge, before):
                break
            self.authenticator.forget(before)
            scopes = wider
            response.excerpt(ERROR_LIMIT)
        return response

    def send_as(
        self,
        endpoint: Endpoint,
        method: str,
        location: Location,
        authorization: str,
        cancellation: Cancellation | None,
    ) -> Response:
        """Send a request with this `Authorization` and no other, repeated like `send`; return the answer."""
        headers = {"Authorization": authorization} if authorization else {}
        return self._repeat(
            lambda: self._follow(endpoint, method, location, headers, cancellation=cancellation), cancellation
        )

    def _hopeful(self, endpoint: Endpoint, challenge: Challenge, before: str) -> bool:
        """Tell whether another authorization than `before` may be had for the challenge."""
        credential = self.authenticator.credential(endpoint)
        if challenge.scheme == "basic":
            return credential is not None and bool(credential.username) and not before.startswith("Basic ")
        return not (credential is not None and credential.registry_token and before)

    def answer(self, endpoint: Endpoint, response: Response) -> Answer:
        """Return what a response with a status of 400 or more says, and close it."""
        challenges = parse_challenges(response.headers.getlist("WWW-Authenticate"))
        return read_answer(
            response.status,
            response.excerpt(ERROR_LIMIT),
            challenges,
            redact=lambda text: self.authenticator.redact(endpoint, text),
        )

    def refusal(self, endpoint: Endpoint, method: str, response: Response) -> ImagewrightError:
        """Return the error that a response with an unwanted status stands for, and close it."""
        return self.refused(endpoint, method, response.location, self.answer(endpoint, response))

    def refused(self, endpoint: Endpoint, method: str, location: Location, answer: Answer) -> ImagewrightError:
        """Return the error that `answer` stands for, told as the engine does where a credential was missing."""
        if answer.status == http.HTTPStatus.UNAUTHORIZED and self.authenticator.lacks_basic(endpoint):
            return Forbidden(f'{method.capitalize()} "{location}": no basic auth credentials')
        return answer_error(answer)

    def pause(self, attempt: int, cancellation: Cancellation | None, asked: float | None = None) -> None:
        """Wait before repetition number `attempt`, from 1 on, `asked` seconds if the registry said so."""
        seconds = asked if asked is not None else self.settings.back_off * 2 ** min(attempt - 1, 10)
        seconds = min(seconds, self.settings.longest_wait)
        if self._sleep is not None:
            self._sleep(seconds)
        elif cancellation is not None:
            cancellation.wait(seconds)
        else:
            time.sleep(seconds)
        if cancellation is not None:
            cancellation.check()

    def delay(self, response: Response) -> float | None:
        """Return what the response's `Retry-After` asks for; raises `Unavailable` if that is too long to wait."""
        asked = retry_after(response.headers.get("Retry-After", ""), self.settings.longest_wait)
        if asked is not None and asked > self.settings.longest_wait:
            answer = read_answer(response.status, b"")
            response.excerpt(ERROR_LIMIT)
            raise Unavailable(answer.text, retry_after=round(asked))
        return asked

    @staticmethod
    def passing(response: Response) -> bool:
        """Tell whether the response's status is one that may pass by itself."""
        return response.status in _REPEATED_STATUSES

    def _repeat(
        self,
        ask: Callable[[], Response],
        cancellation: Cancellation | None,
        *,
        give_up: bool = False,
        resume: bool = False,
    ) -> Response:
        tries = 1 if give_up else self.settings.tries
        for attempt in range(1, tries + 1):
            asked = None
            try:
                response = ask()
            except Broken:
                if resume or attempt == tries:
                    raise
            else:
                if attempt == tries or not self.passing(response):
                    return response
                asked = self.delay(response)
                response.excerpt(ERROR_LIMIT)
            self.pause(attempt, cancellation, asked)
        raise AssertionError("unreachable")

    def _follow(
        self,
        endpoint: Endpoint,
        method: str,
        location: Location,
        headers: Mapping[str, str],
        *,
        payload: Payload | None = None,
        cancellation: Cancellation | None = None,
    ) -> Response:
        """Send one request and follow redirects; credentials stay at the origin they were meant for.

        What is sent goes to no other origin: those of other methods than GET and HEAD are followed within one only.
        """
        sent = dict(headers)
        start = location.origin
        for _ in range(_REDIRECTS + 1):
            response = self.transport.request(method, location, sent, payload, cancellation=cancellation)
            asking = method in {"GET", "HEAD"}
            if response.status not in (_REDIRECT_STATUSES if asking else _REPEATING_STATUSES):
                return response
            target = response.headers.get("Location", "")
            response.excerpt(ERROR_LIMIT)
            if not target:
                raise SystemFailure(f'{method.capitalize()} "{location}": {response.status} response without Location')
            following = told_location(target, location)
            self.check_target(endpoint, location.origin, following.origin)
            if not asking and following.origin != location.origin:
                raise Forbidden(f"{endpoint.registry} redirects what is sent to {following.origin}, which is refused")
            if following.origin != start:
                sent.pop("Authorization", None)
            location = following
        raise SystemFailure(f'{method.capitalize()} "{location}": stopped after {_REDIRECTS} redirects')

    def check_target(self, endpoint: Endpoint, source: Origin, target: Origin) -> None:
        """Raise `Forbidden` if a registry must not send us from `source` to `target`.

        Never from https to http; to plain http only on this machine or where listed; to this machine only by itself.
        """
        if target == source:
            return
        near = is_loopback(target.host)
        plain = target.scheme == "http" and not (near or self.transport.insecure(target))
        if (near and not endpoint.near) or plain or (source.scheme == "https" and target.scheme == "http"):
            raise Forbidden(f"{endpoint.registry} redirects to {target}, which is refused")

    def _ask_realm(
        self,
        method: str,
        location: Location,
        headers: Mapping[str, str],
        payload: bytes | None,
        cancellation: Cancellation | None,
    ) -> Response:
        realm = Endpoint(location.origin.authority, location.origin, verified=self.transport.verifies(location.origin))

        def ask() -> Response:
            response = self._follow(realm, method, location, headers, payload=payload, cancellation=cancellation)
            return _with_body(response, _TOKEN_LIMIT, cancellation)

        try:
            return self._repeat(ask, cancellation)
        except Broken as error:
            # Not `Broken`: what needs the token must not be repeated on top.
            raise SystemFailure(str(error)) from error


def told_location(text: str, base: Location) -> Location:
    """Return where a registry says to go on; raises `SystemFailure` for what is no place to go."""
    try:
        return parse_location(text, base)
    except InvalidInput as error:
        raise SystemFailure(str(error)) from error


def _with_body(response: Response, limit: int, cancellation: Cancellation | None) -> Response:
    """Return the response with its body read, if it is a 200 and there is a limit."""
    if limit and response.status == http.HTTPStatus.OK:
        forget = cancellation.on_cancel(response.abort) if cancellation is not None else None
        try:
            response.body = response.read_all(limit)
        except Broken:
            if cancellation is not None:
                cancellation.check()
            raise
        finally:
            if forget is not None:
                forget()
    return response
