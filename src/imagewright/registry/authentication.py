"""Who sees which credential: challenges answered by Basic or by tokens.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/. A credential goes to the registry that it
belongs to, and to the realm that this registry names, under the rules of `_check_realm`; never anywhere else.
"""

import base64
import http
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, InvalidInput, SystemFailure
from imagewright.registry.addresses import Location, Origin, is_loopback, parse_location
from imagewright.registry.challenges import Challenge
from imagewright.registry.credentials import Credential, Keychain
from imagewright.registry.failures import answer_error, read_answer
from imagewright.registry.transport import Response, Transport

__all__ = ["Authenticator", "Endpoint", "Send", "Token", "basic", "covers"]

_ERROR_LIMIT = 64 << 10
# Tokens live at least this long, by the specification; they are let go a little before.
_MINIMUM_LIFETIME = 60
_MARGIN = 5
_CLIENT_ID = "imagewright"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a registry is reached; `registry` is its name to keychains, `prefix` the path before `/v2/`."""

    registry: str
    origin: Origin
    prefix: str = ""
    verified: bool = False

    @property
    def near(self) -> bool:
        """Whether it is this machine by its very name."""
        return is_loopback(self.origin.host)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, good until `expires` by the transport's clock, and an identity token if one was given."""

    access: str
    expires: float
    identity: str = ""

    def __repr__(self) -> str:
        return "Token()"


class _Document(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""
    refresh_token: str = ""
    expires_in: float | None = None


Send = Callable[[str, Location, Mapping[str, str], bytes | None, Cancellation | None], Response]
"""Sends a request with repetitions and redirects, and reads the body of what is no error; errors are returned too."""

_Key = tuple[Endpoint, str, str, frozenset[str]]
"""What a token is for: the endpoint, realm and service of the challenge, and the scopes that were asked for."""


class Authenticator:
    """The challenges and tokens of one keychain; safe to use from many threads."""

    def __init__(self, transport: Transport, keychain: Keychain, send: Send) -> None:
        self._transport = transport
        self._keychain = keychain
        self._send = send
        self._lock = threading.Lock()
        self._challenges: dict[Endpoint, Challenge] = {}
        self._tokens: dict[_Key, Token] = {}
        self._coming: dict[_Key, Future[Token]] = {}
        self._proven: set[str] = set()

    def credential(self, endpoint: Endpoint) -> Credential | None:
        """Return what the keychain has for the endpoint's registry."""
        return self._keychain(endpoint.registry)

    def learn(self, endpoint: Endpoint, challenges: tuple[Challenge, ...]) -> Challenge | None:
        """Keep the challenge to answer from now on and return it: Bearer before Basic; None if there is neither."""
        for scheme in ("bearer", "basic"):
            for challenge in challenges:
                if challenge.scheme == scheme:
                    with self._lock:
                        self._challenges[endpoint] = challenge
                    return challenge
        return None

    def challenge(self, endpoint: Endpoint) -> Challenge | None:
        """Return the challenge that is to be answered at the endpoint, None if none is known."""
        with self._lock:
            return self._challenges.get(endpoint)

    def introduce(self, endpoint: Endpoint, challenges: tuple[Challenge, ...]) -> None:
        """Take over what another keychain's requests learned about the endpoint, unless there is later news."""
        if self.challenge(endpoint) is None:
            self.learn(endpoint, challenges)

    def lacks_basic(self, endpoint: Endpoint) -> bool:
        """Tell whether the endpoint wants a name and a password, and the keychain has none."""
        with self._lock:
            challenge = self._challenges.get(endpoint)
        credential = self.credential(endpoint)
        return challenge is not None and challenge.scheme == "basic" and (credential is None or not credential.username)

    def accept(self, authorization: str) -> None:
        """Note that the registry took the token that `authorization` holds: refused later, it has been revoked."""
        if authorization.startswith("Bearer "):
            with self._lock:
                self._proven.add(authorization)

    def forget(self, authorization: str) -> None:
        """Drop the cached token that `authorization` holds, because the registry does not take it."""
        with self._lock:
            self._proven.discard(authorization)
            for key in [key for key, token in self._tokens.items() if f"Bearer {token.access}" == authorization]:
                del self._tokens[key]

    def redact(self, endpoint: Endpoint, text: str) -> str:
        """Return `text` without the secrets of the endpoint's registry that it may hold."""
        credential = self.credential(endpoint)
        with self._lock:
            secrets = {token.access for token in self._tokens.values()}
            secrets |= {token.identity for token in self._tokens.values()}
        if credential is not None:
            secrets |= {credential.password, credential.identity_token, credential.registry_token}
            secrets |= {basic(credential).removeprefix("Basic ")}
        secrets |= {urllib.parse.quote_plus(secret) for secret in secrets}
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def authorize(
        self, endpoint: Endpoint, scopes: frozenset[str], cancellation: Cancellation | None
    ) -> tuple[str, bool]:
        """Return the `Authorization` for a request at `endpoint` itself, and whether it may be better another time.

        It is empty where none is known to be needed; a token that was kept from before may have been revoked.
        """
        challenge = self.challenge(endpoint)
        if challenge is None:
            return "", True
        credential = self.credential(endpoint)
        if challenge.scheme == "basic":
            return (basic(credential) if credential is not None and credential.username else ""), False
        if credential is not None and credential.registry_token:
            return f"Bearer {credential.registry_token}", False
        token, kept = self._token(endpoint, challenge, scopes, credential, cancellation)
        return f"Bearer {token.access}", kept

    def _token(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        scopes: frozenset[str],
        credential: Credential | None,
        cancellation: Cancellation | None,
    ) -> tuple[Token, bool]:
        key = (endpoint, challenge.parameters.get("realm", ""), challenge.parameters.get("service", ""), scopes)
        while True:
            with self._lock:
                token = self._find(key)
                if token is not None:
                    return token, f"Bearer {token.access}" in self._proven
                coming = self._coming.get(key)
                if coming is None:
                    mine = self._coming[key] = Future()
            if coming is None:
                return self._fetch_for_all(key, mine, challenge, credential, cancellation), False
            try:
                return coming.result(), False
            except Cancelled:
                # Whoever asked was cancelled, which need not be meant for this one.
                if cancellation is not None:
                    cancellation.check()

    def _find(self, key: _Key) -> Token | None:
        """Return a token that is good for as much as `key` says; the caller has the lock."""
        now = self._transport.clock()
        for kept, token in self._tokens.items():
            if kept[:-1] == key[:-1] and token.expires > now and covers(kept[-1], key[-1]):
                return token
        return None

    def _fetch_for_all(
        self,
        key: _Key,
        coming: "Future[Token]",
        challenge: Challenge,
        credential: Credential | None,
        cancellation: Cancellation | None,
    ) -> Token:
        """Fetch a token for everybody who waits for `coming`: the realm is asked once, whatever it says."""
        try:
            token = self.fetch_token(key[0], challenge, key[-1], credential, cancellation=cancellation)
        except BaseException as error:
            with self._lock:
                del self._coming[key]
            coming.set_exception(error)
            raise
        with self._lock:
            self._tokens[key] = token
            del self._coming[key]
        coming.set_result(token)
        return token

    def fetch_token(
        self,
        endpoint: Endpoint,
        challenge: Challenge,
        scopes: frozenset[str],
        credential: Credential | None,
        *,
        offline: bool = False,
        cancellation: Cancellation | None = None,
    ) -> Token:
        """Return a new token from the challenge's realm; `offline` asks for an identity token along with it.

        Raises `Forbidden` where the realm is refused or refuses, `SystemFailure` where it fails.
        """
        realm = _parse_realm(challenge)
        self._check_realm(endpoint, realm.origin, secret=credential is not None)
        service = challenge.parameters.get("service", "")
        fields = [("service", service)] if service else []
        if credential is not None and credential.identity_token:
            fields += [("scope", " ".join(sorted(scopes)))] if scopes else []
            fields += [("client_id", _CLIENT_ID), ("grant_type", "refresh_token")]
            fields += [("refresh_token", credential.identity_token)]
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            response = self._send("POST", realm, headers, urllib.parse.urlencode(fields).encode(), cancellation)
        else:
            fields += [("scope", scope) for scope in sorted(scopes)]
            headers = {}
            if credential is not None and credential.username:
                fields += [("account", credential.username)]
                headers["Authorization"] = basic(credential)
            if offline:
                fields += [("offline_token", "true"), ("client_id", _CLIENT_ID)]
            response = self._send("GET", realm.with_query(fields), headers, None, cancellation)
        if response.status != http.HTTPStatus.OK:
            body = response.excerpt(_ERROR_LIMIT)
            raise answer_error(read_answer(response.status, body, redact=lambda text: self.redact(endpoint, text)))
        return self._read_token(response)

    def _read_token(self, response: Response) -> Token:
        try:
            document = msgspec.json.decode(response.body, type=_Document)
        except (msgspec.DecodeError, RecursionError) as error:
            # Without the cause: it could quote what is no document, but a token.
            raise SystemFailure(f"the answer of {response.location.origin} is no token") from error
        access = document.access_token or document.token
        if not access or not access.isascii() or not access.isprintable():
            raise SystemFailure("authorization server did not include a token in the response")
        lifetime = max(document.expires_in or 0, _MINIMUM_LIFETIME) - _MARGIN
        return Token(access, self._transport.clock() + lifetime, document.refresh_token)

    def _check_realm(self, endpoint: Endpoint, realm: Origin, *, secret: bool) -> None:
        """Raise `Forbidden` if `realm` must not be asked, or, with a credential to send, must not see it.

        At the registry's own origin anything goes, for the registry sees the credential as it is. Elsewhere only https
        is asked, or plain http from this machine to itself; this machine only by itself; and credentials go out only
        if the challenge came from a verified host, or from this machine.
        """
        if realm == endpoint.origin:
            return
        near = is_loopback(realm.host)
        asked = realm.scheme == "https" or (near and endpoint.near) or self._transport.insecure(realm)
        if not asked or (near and not endpoint.near):
            raise Forbidden(f"{endpoint.registry} names {realm} to give out tokens, which is refused")
        told = (endpoint.verified and realm.scheme == "https") or endpoint.near
        if secret and not told:
            raise Forbidden(f"{endpoint.registry} wants its credentials sent to {realm}, which is refused")


def covers(granted: Iterable[str], wanted: Iterable[str]) -> bool:
    """Tell whether scopes (`type:name:action,action`) allow all that others do."""
    allowed = _actions(granted)
    return all(actions <= allowed.get(subject, set()) for subject, actions in _actions(wanted).items())


def _actions(scopes: Iterable[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for scope in scopes:
        subject, _, actions = scope.rpartition(":")
        found.setdefault(subject, set()).update(actions.split(","))
    return found


def basic(credential: Credential) -> str:
    """Return the `Authorization` header for a name and a password."""
    return "Basic " + base64.b64encode(f"{credential.username}:{credential.password}".encode()).decode()


def _parse_realm(challenge: Challenge) -> Location:
    try:
        return parse_location(challenge.parameters.get("realm", ""))
    except InvalidInput as error:
        raise Forbidden("invalid realm in the challenge of the registry") from error
