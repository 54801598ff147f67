"""Who gets to see which credential: the host that it belongs to, and where that host sends for tokens."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from imagewright.errors import Forbidden, ImagewrightError, NotFound
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.registry import Client, Credential, for_registry, no_credentials
from support.fake_registry import FakeRegistry, basic, fake_registry, make_image, status
from support.loopback import Fault, Request, Response
from support.registry_faults import BLOB, MANIFEST, TOKEN
from support.registry_world import NAME, PASSWORD, USER, World, attempt, pull, settings, world

REFUSED = (Forbidden, NotFound)


@pytest.fixture
def guarded() -> Iterator[World]:
    """A registry that wants the password itself."""
    with world(tokens=None, accounts={USER: PASSWORD}) as made:
        yield made


def test_basic(guarded: World) -> None:
    with guarded.client() as client:
        assert pull(client, guarded.reference)[1] == list(guarded.blobs.values())[:2]

    assert guarded.registry.server.authorizations == {basic(USER, PASSWORD)}


def test_nothing_is_said_before_it_is_asked_for(guarded: World) -> None:
    with guarded.client() as client:
        pull(client, guarded.reference)

    assert guarded.registry.server.requests[0].authorization == ""


def test_a_registry_that_asks_for_nothing_is_told_nothing() -> None:
    with world(tokens=None) as place, place.client() as client:
        pull(client, place.reference)

        assert place.registry.server.authorizations == set()


@pytest.mark.parametrize("credential", [None, Credential("bob", "x"), Credential(USER, "x"), Credential(USER)])
def test_basic_refused(guarded: World, credential: Credential | None) -> None:
    with guarded.client(keychain=for_registry(guarded.registry.host, credential)) as client:
        outcome = attempt(guarded, lambda: pull(client, guarded.reference), requests=4)

    assert isinstance(outcome.error, REFUSED)


@pytest.mark.parametrize("password", ["w\u00f6rd", "a:b", " ", "\x7f", "x" * 5000, "\u20ac\U0001f511"])
def test_passwords_of_every_kind(guarded: World, password: str) -> None:
    encoded = base64.b64encode(f"{USER}:{password}".encode()).decode()
    guarded.registry.accounts = {USER: password}

    with guarded.client(keychain=for_registry(guarded.registry.host, Credential(USER, password))) as client:
        pull(client, guarded.reference)

    assert guarded.registry.server.authorizations == {f"Basic {encoded}"}


@pytest.mark.parametrize("name", ["a:b", "a\r\nX-Evil: 1", "a\nb", "\x00"])
def test_names_that_cannot_be_sent(guarded: World, name: str) -> None:
    with guarded.client(keychain=for_registry(guarded.registry.host, Credential(name, "word"))) as client:
        outcome = attempt(guarded, lambda: pull(client, guarded.reference), requests=4)

    assert isinstance(outcome.error, ImagewrightError)
    assert not [request for request in guarded.registry.server.requests if "x-evil" in request.headers]


def test_a_token_is_fetched_once_for_a_pull(place: World, client: Client) -> None:
    pull(client, place.reference)
    pull(client, place.reference)

    assert place.tokens.server.asked == ["GET /token"]
    asked = place.tokens.server.requests[0]
    assert asked.query["scope"] == [f"repository:{NAME}:pull"]
    assert asked.query["service"] == ["registry.test"]
    assert asked.authorization == basic(USER, PASSWORD)


def test_a_token_for_one_repository_is_not_used_for_another(place: World, client: Client) -> None:
    make_image(place.registry, "team/other", "1", b"other")
    pull(client, place.reference)
    pull(client, Reference.parse(f"{place.registry.host}/team/other:1"))

    assert len(place.tokens.granted) == 2
    asked = [request for request in place.registry.server.requests if request.authorization]
    used = {request.path.split("/")[3]: request.authorization for request in asked}
    assert used["app"] != used["other"]


def test_a_token_to_pull_is_exchanged_for_one_to_push(place: World, client: Client) -> None:
    manifest = client.get_manifest(place.reference)

    client.put_manifest(place.reference.with_tag("2"), manifest.media_type, manifest.data)

    assert place.registry.repository(NAME).tags["2"] == place.digest
    assert any("push" in request.query["scope"][0] for request in place.tokens.server.requests)


def test_a_token_that_ends_in_the_middle_is_renewed(place: World, client: Client) -> None:
    def revoke(_request: Request, response: Response) -> Response:
        place.tokens.revoke()
        return response

    place.registry.fault(MANIFEST, revoke, spared=1, times=1)
    place.registry.fault(BLOB, revoke, times=1)

    outcome = attempt(place, lambda: pull(client, place.reference), requests=14)

    assert outcome.error is None
    assert 2 <= len(place.tokens.server.requests) <= 3


@pytest.mark.parametrize(
    ("lifetime", "later", "expected"), [(300, 200, 1), (300, 400, 2), (None, 50, 1), (None, 70, 2)]
)
def test_a_token_is_kept_for_as_long_as_it_lasts(
    place: World, lifetime: int | None, later: float, expected: int
) -> None:
    place.tokens.lifetime = lifetime
    now = [1000.0]

    with Client(settings(), place.keychain, clock=lambda: now[0], sleep=place.slept.append) as client:
        client.get_manifest(place.reference)
        now[0] += later
        client.get_manifest(place.reference)

    assert len(place.tokens.server.requests) == expected


@pytest.mark.parametrize("lifetime", [0, -5, 10**12, 1.5, "300", True, [], 1e400])
def test_a_lifetime_that_makes_no_sense(place: World, client: Client, lifetime: object) -> None:
    def change(_request: Request, response: Response) -> Response:
        document = {**json.loads(response.body), "expires_in": lifetime, "issued_at": lifetime}
        return Response(200, response.headers, json.dumps(document).encode())

    place.tokens.server.faults.append(Fault(TOKEN, change))

    attempt(place, lambda: pull(client, place.reference), requests=20)


@pytest.mark.parametrize("key", ["token", "access_token"])
def test_a_token_under_either_name(place: World, client: Client, key: str) -> None:
    place.tokens.key = key

    pull(client, place.reference)


def test_nobody_in_particular_pulls_what_is_public(place: World) -> None:
    place.tokens.public = [NAME]

    with place.client(keychain=no_credentials) as client:
        pull(client, place.reference)

    assert place.tokens.server.authorizations == set()


def test_nobody_in_particular_pulls_nothing_else(place: World) -> None:
    with place.client(keychain=no_credentials) as client:
        outcome = attempt(place, lambda: pull(client, place.reference), requests=8)

    assert isinstance(outcome.error, REFUSED)
    assert re.search("denied|authentication required", str(outcome.error))


def test_an_identity_token_is_posted_and_stands_for_the_password(place: World) -> None:
    token = place.tokens.refresh_token(USER)

    with place.client(keychain=for_registry(place.registry.host, Credential(identity_token=token))) as client:
        pull(client, place.reference)
        place.tokens.revoke()
        pull(client, place.reference)

    assert set(place.tokens.server.asked) == {"POST /token"}
    assert not [request for request in place.tokens.server.requests if token in request.target]
    assert not [request for request in place.registry.server.requests if token in str(request.headers)]


def test_an_identity_token_that_is_over(place: World) -> None:
    with place.client(keychain=for_registry(place.registry.host, Credential("", "", "gone"))) as client:
        outcome = attempt(place, lambda: pull(client, place.reference), requests=8)

    assert isinstance(outcome.error, REFUSED)
    assert "gone" not in str(outcome.error)


def test_a_registry_token_goes_to_the_registry_as_it_is(place: World) -> None:
    place.tokens.granted["ready-made"] = frozenset({f"repository:{NAME}:pull"})

    with place.client(keychain=for_registry(place.registry.host, Credential("", "", "", "ready-made"))) as client:
        pull(client, place.reference)

    assert place.tokens.server.requests == []
    assert place.registry.server.authorizations == {"Bearer ready-made"}


def test_a_registry_token_that_is_refused(place: World) -> None:
    with place.client(keychain=for_registry(place.registry.host, Credential("", "", "", "stale-word"))) as client:
        outcome = attempt(place, lambda: pull(client, place.reference), requests=8)

    assert isinstance(outcome.error, REFUSED)
    assert "stale-word" not in str(outcome.error)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_another_registry_gets_nothing(place: World, address: str) -> None:
    """Credentials are for a host and a port: another port of the same host is another registry."""
    for accounts, tokens in (({USER: PASSWORD}, None), (None, place.tokens)):
        with fake_registry(FakeRegistry(accounts=accounts, tokens=tokens), address=address) as other:
            make_image(other, NAME, "1", b"layer")
            asked = len(place.tokens.server.requests)
            with place.client() as client:
                outcome = attempt(place, lambda host=other.host: pull(client, Reference.parse(f"{host}/{NAME}:1")))  # type: ignore[misc]

            assert isinstance(outcome.error, REFUSED)
            assert other.server.authorizations <= {
                f"Bearer {token}" for token, scopes in place.tokens.granted.items() if not scopes
            }
            assert not [request for request in place.tokens.server.requests[asked:] if request.authorization]


def test_the_keychain_is_asked_for_the_exact_host(place: World) -> None:
    asked: list[str] = []

    def keychain(registry: str) -> Credential | None:
        asked.append(registry)
        return None

    with place.client(keychain=keychain) as client:
        attempt(place, lambda: pull(client, place.reference))

    assert set(asked) == {place.registry.host}


def test_two_keychains_share_no_token(place: World, client: Client) -> None:
    """What one user's password bought does not serve another user, of the same registry and client."""
    pull(client, place.reference)
    stranger = client.with_keychain(for_registry(place.registry.host, Credential("bob", "wrong")))

    outcome = attempt(place, lambda: pull(stranger, place.reference), requests=6)

    assert isinstance(outcome.error, REFUSED)
    nobody = client.with_keychain(no_credentials)
    assert isinstance(attempt(place, lambda: pull(nobody, place.reference), requests=8).error, REFUSED)


def test_two_keychains_share_no_basic_authentication(guarded: World) -> None:
    with guarded.client() as client:
        pull(client, guarded.reference)
        nobody = client.with_keychain(no_credentials)

        assert isinstance(attempt(guarded, lambda: pull(nobody, guarded.reference), requests=6).error, REFUSED)


def test_a_token_of_one_registry_is_not_for_another_with_the_same_token_server(place: World) -> None:
    """A registry that names another's realm and service gets a token only for whom its own credential is."""
    with fake_registry(FakeRegistry(tokens=place.tokens)) as other, place.client() as client:
        make_image(other, NAME, "1", b"layer")
        pull(client, place.reference)

        outcome = attempt(place, lambda: pull(client, Reference.parse(f"{other.host}/{NAME}:1")), requests=8)

        assert isinstance(outcome.error, REFUSED)
        good = {token for token, scopes in place.tokens.granted.items() if scopes}
        assert not [value for value in other.server.authorizations if value.removeprefix("Bearer ") in good]


def test_a_challenge_of_a_blob_host_is_not_met(place: World, client: Client) -> None:
    """A host that was redirected to may ask what it likes."""
    for text in (place.tokens.challenge(f"repository:{NAME}:pull"), 'Basic realm="x"'):
        answer = status(401, "UNAUTHORIZED", WWW_Authenticate=text)
        place.elsewhere_answer = lambda request, answer=answer: answer(request, Response())  # type: ignore[misc]
        place.registry.server.faults[:] = [
            Fault(BLOB, lambda _q, _r: Response(307, {"Location": f"{place.elsewhere.url}/x"}))
        ]

        outcome = attempt(place, lambda: pull(client, place.reference), requests=20)

        assert isinstance(outcome.error, ImagewrightError)
        assert place.elsewhere.authorizations == set()


def test_pages_of_tags_elsewhere(place: World, client: Client) -> None:
    place.elsewhere_answer = lambda _request: Response(200, {}, b'{"name": "x", "tags": ["theirs"]}')
    link = {"Link": f'<{place.elsewhere.url}/v2/x/tags/list>; rel="next"'}
    place.registry.fault(".*/tags/list", lambda _q, r: Response(200, {**r.headers, **link}, r.body))

    attempt(place, lambda: client.list_tags(place.reference))

    assert place.elsewhere.authorizations == set()


class TestMirrors:
    def test_a_mirror_of_the_hub_is_not_told_the_hubs_password(self, place: World) -> None:
        place.registry.tokens = None
        make_image(place.registry, "library/thing", "1", b"layer")
        with_mirror = settings(mirrors=(place.registry.server.url,))
        keychain = for_registry("docker.io", Credential(USER, PASSWORD))

        with place.client(with_mirror, keychain) as client:
            pull(client, Reference.parse("thing:1"))

        assert place.registry.server.authorizations == set()

    def test_a_mirror_that_asks_is_told_only_its_own(self, place: World) -> None:
        make_image(place.registry, "library/thing", "1", b"layer")
        place.tokens.public = ["library/thing"]
        with_mirror = settings(mirrors=(place.registry.server.url + "/",))
        keychain = for_registry("docker.io", Credential("hub", "of-the-hub"))

        with place.client(with_mirror, keychain) as client:
            pull(client, Reference.parse("thing:1"))

        assert place.tokens.server.authorizations == set()

    def test_a_mirror_serves_no_other_registry(self, place: World) -> None:
        with fake_registry() as mirror, place.client(settings(mirrors=(mirror.server.url,))) as client:
            pull(client, place.reference)

            assert mirror.server.requests == []

    @pytest.mark.parametrize("mirrors", [1, 2])
    def test_mirrors_are_tried_in_order(self, place: World, mirrors: int) -> None:
        place.registry.tokens = None
        make_image(place.registry, "library/thing", "1", b"layer")
        broken = tuple([place.elsewhere.url] * mirrors)

        with place.client(settings(mirrors=(*broken, place.registry.server.url))) as client:
            pull(client, Reference.parse("thing:1"))


class TestProxies:
    def test_loopback_is_reached_without_a_proxy(self, place: World) -> None:
        proxied = settings(environment=dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), place.elsewhere.url))

        with place.client(proxied) as client:
            pull(client, place.reference)

        assert place.elsewhere.requests == []

    def test_a_listed_host_is_reached_through_the_proxy(self, place: World) -> None:
        place.registry.tokens = None
        proxied = settings(
            insecure=("registry.example",),
            environment={"HTTP_PROXY": place.registry.server.url, "HTTPS_PROXY": place.registry.server.url},
        )

        with place.client(proxied) as client:
            outcome = attempt(place, lambda: pull(client, Reference.parse(f"registry.example/{NAME}:1")), requests=30)

        assert outcome.error is None
        plain = [request for request in place.registry.server.requests if request.method == "GET"]
        assert all(request.target.startswith("http://registry.example/") for request in plain)

    def test_any_other_host_is_never_spoken_to_in_the_clear(self, place: World) -> None:
        proxied = settings(environment={"http_proxy": place.elsewhere.url, "https_proxy": place.elsewhere.url})
        keychain = for_registry("registry.example", Credential(USER, PASSWORD))

        with place.client(proxied, keychain) as client:
            outcome = attempt(place, lambda: pull(client, Reference.parse(f"registry.example/{NAME}:1")))

        assert isinstance(outcome.error, ImagewrightError)
        assert {request.method for request in place.elsewhere.requests} == {"CONNECT"}

    def test_a_proxys_password_is_in_no_message(self, place: World) -> None:
        address = place.elsewhere.url.replace("://", f"://{USER}:{PASSWORD}@")
        for variable in ("https_proxy", "HTTPS_PROXY"):
            with place.client(settings(environment={variable: address}), no_credentials) as client:
                outcome = attempt(place, lambda: pull(client, Reference.parse(f"registry.example/{NAME}:1")))
            assert isinstance(outcome.error, ImagewrightError)
        # It is for the proxy, and was told.
        assert {request.headers.get("proxy-authorization") for request in place.elsewhere.requests} == {
            basic(USER, PASSWORD)
        }
        place.elsewhere.requests.clear()


class TestLogin:
    def test_with_a_password(self, guarded: World) -> None:
        with guarded.client(keychain=no_credentials) as client:
            assert client.login(guarded.registry.host, Credential(USER, PASSWORD)).status == "Login Succeeded"

    def test_with_the_wrong_password(self, guarded: World) -> None:
        with guarded.client(keychain=no_credentials) as client:
            outcome = attempt(guarded, lambda: client.login(guarded.registry.host, Credential(USER, "wrong-word")))

        assert isinstance(outcome.error, Forbidden)
        assert "wrong-word" not in str(outcome.error)

    def test_for_a_token(self, place: World, client: Client) -> None:
        result = client.login(place.registry.host, Credential(USER, PASSWORD))

        assert result.status == "Login Succeeded"
        assert result.identity_token in {"", *place.tokens.refresh_tokens}

    def test_for_a_token_with_the_wrong_password(self, place: World, client: Client) -> None:
        outcome = attempt(place, lambda: client.login(place.registry.host, Credential(USER, "wrong-word")), requests=8)

        assert isinstance(outcome.error, Forbidden)

    def test_with_an_identity_token(self, place: World, client: Client) -> None:
        token = place.tokens.refresh_token(USER)

        assert client.login(place.registry.host, Credential(identity_token=token)).status == "Login Succeeded"

    def test_does_not_use_what_the_keychain_knows(self, place: World, client: Client) -> None:
        pull(client, place.reference)

        outcome = attempt(place, lambda: client.login(place.registry.host, Credential("bob", "no")), requests=8)

        assert isinstance(outcome.error, Forbidden)

    def test_at_what_is_no_registry(self, place: World, client: Client) -> None:
        place.elsewhere_answer = lambda _request: Response(200, {}, b"<html>Welcome</html>")

        attempt(place, lambda: client.login(place.elsewhere.host, Credential("bob", "no")), requests=8)


def test_no_secret_is_in_any_representation(place: World, client: Client) -> None:
    pull(client, place.reference)
    credential = Credential(USER, PASSWORD, "identity-word", "registry-word")
    shown = f"{client!r} {client} {vars(client) if hasattr(client, '__dict__') else ''} {credential!r} {credential}"

    assert not [word for word in (PASSWORD, "identity-word", "registry-word", *place.tokens.granted) if word in shown]


def test_digests_are_not_mistaken_for_tags(place: World, client: Client) -> None:
    assert client.has_blob(place.reference, Digest.parse(place.blob))
    assert not client.has_blob(place.reference, Digest.of(b"none"))
