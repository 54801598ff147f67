"""A token server of the test's own, as registries send their clients to one.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/. With a signing certificate its tokens are
what Debian's docker-registry takes; without one they are random text, which `TokenServer.allows` knows.
"""

import base64
import contextlib
import json
import secrets
import ssl
import subprocess
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from support.certificates import Pair
from support.loopback import LoopbackServer, Request, Response, loopback_server

__all__ = ["ISSUER", "SERVICE", "TokenServer", "token_server"]

ISSUER = "tests"
SERVICE = "registry.test"


@dataclass
class TokenServer:
    """Grants everything to the users in `accounts`, and nothing to others but pulls from repositories in `public`.

    `lifetime` is in seconds, and what the answer says of it; None says nothing, which means 60 seconds. `key` names the
    answer's member that holds the token: servers send one of them, or both.
    """

    accounts: Mapping[str, str]
    public: Sequence[str] = ()
    signing: Pair | None = None
    lifetime: int | None = 300
    key: str = "token"
    oauth: bool = True
    granted: dict[str, frozenset[str]] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    running: LoopbackServer | None = None

    @property
    def server(self) -> LoopbackServer:
        """The server, which must run."""
        assert self.running is not None
        return self.running

    @property
    def realm(self) -> str:
        """The address that challenges name."""
        return f"{self.server.url}/token"

    def challenge(self, scope: str = "", *, realm: str = "", error: str = "") -> str:
        """Return a WWW-Authenticate header."""
        parts = {"realm": realm or self.realm, "service": SERVICE, "scope": scope, "error": error}
        return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parts.items() if value)

    def allows(self, authorization: str, scope: str) -> bool:
        """Return whether the header holds a token that was granted `scope` (`type:name:action`), or any if empty."""
        scheme, _, token = authorization.partition(" ")
        scopes = self.granted.get(token)
        return scheme.lower() == "bearer" and scopes is not None and (not scope or scope in scopes)

    def revoke(self) -> None:
        """Forget all tokens that were given out, as if their time was over; refresh tokens stay."""
        self.granted.clear()

    def refresh_token(self, user: str) -> str:
        """Return a new identity token of `user`."""
        token = secrets.token_hex(16)
        self.refresh_tokens[token] = user
        return token

    def answer(self, request: Request) -> Response:
        """Answer one request, as `loopback_server` wants it."""
        if request.path != "/token":
            return _refused(404, "NOT_FOUND")
        if request.method == "GET":
            return self._grant_get(request)
        if request.method == "POST" and self.oauth:
            return self._grant_post(request)
        return _refused(405 if self.oauth else 404, "UNSUPPORTED")

    def _grant_get(self, request: Request) -> Response:
        user = ""
        if request.authorization:
            scheme, _, encoded = request.authorization.partition(" ")
            user, _, password = base64.b64decode(encoded).decode().partition(":")
            if scheme.lower() != "basic" or self.accounts.get(user) != password:
                return _refused(401, "incorrect username or password")
        offline = request.query.get("offline_token", [""])[0] == "true"
        return self._grant(user, request.query.get("scope", []), refresh=self.refresh_token(user) if offline else "")

    def _grant_post(self, request: Request) -> Response:
        form = urllib.parse.parse_qs(request.body.read().decode())
        values = {name: items[0] for name, items in form.items()}
        if values.get("grant_type") == "refresh_token":
            user = self.refresh_tokens.get(values.get("refresh_token", ""), "")
        else:
            user = values.get("username", "")
            user = user if self.accounts.get(user) == values.get("password") else ""
        if not user:
            return _refused(401, "unauthorized_client")
        refresh = values.get("refresh_token", "")
        if values.get("access_type") == "offline":
            refresh = refresh or self.refresh_token(user)
        return self._grant(user, values.get("scope", "").split(), refresh=refresh, key="access_token")

    def _grant(self, user: str, scopes: Sequence[str], *, refresh: str, key: str = "") -> Response:
        access = [entry for scope in scopes for entry in (self._permitted(user, scope),) if entry["actions"]]
        token = self._sign(user, access) if self.signing else secrets.token_hex(16)
        self.granted[token] = frozenset(
            f"{entry['type']}:{entry['name']}:{action}" for entry in access for action in entry["actions"]
        )
        body: dict[str, object] = {key or self.key: token, "scope": " ".join(scopes)}
        if self.lifetime is not None:
            body["expires_in"] = self.lifetime
        if refresh:
            body["refresh_token"] = refresh
        return Response(headers={"Content-Type": "application/json"}, body=json.dumps(body).encode())

    def _permitted(self, user: str, scope: str) -> "dict[str, str | list[str]]":
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        wanted = actions.split(",")
        if not user:
            wanted = ["pull"] if "pull" in wanted and name in self.public else []
        return {"type": kind, "name": name, "actions": wanted}

    def _sign(self, user: str, access: Sequence[object]) -> str:
        assert self.signing is not None
        with open(self.signing.certificate, encoding="ascii") as file:
            chain = [ssl.PEM_cert_to_DER_cert(file.read())]
        header = {"typ": "JWT", "alg": "RS256", "x5c": [base64.b64encode(der).decode() for der in chain]}
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "jti": secrets.token_hex(8),
            "access": access,
            "iat": now,
            "nbf": now - 10,
            "exp": now + (60 if self.lifetime is None else self.lifetime),
        }
        text = f"{_encode(json.dumps(header).encode())}.{_encode(json.dumps(claims).encode())}"
        command = ["openssl", "dgst", "-sha256", "-sign", self.signing.key]
        signature = subprocess.run(command, input=text.encode(), capture_output=True, check=True).stdout
        return f"{text}.{_encode(signature)}"


@contextlib.contextmanager
def token_server(
    tokens: TokenServer,
    *,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    answer: Callable[[Request], Response] | None = None,
) -> Iterator[TokenServer]:
    """Run the server on a free port of `address` until the block ends; `answer` replaces what it says."""
    with loopback_server(answer or tokens.answer, address=address, tls=tls) as server:
        tokens.running = server
        try:
            yield tokens
        finally:
            tokens.running = None


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _refused(status: int, detail: str) -> Response:
    body = {"details": detail, "error": detail, "errors": [{"code": "UNAUTHORIZED", "message": detail}]}
    return Response(status, {"Content-Type": "application/json"}, json.dumps(body).encode())
