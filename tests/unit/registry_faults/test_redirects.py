"""Redirects: followed where they may lead, and nobody on the way learns what is not his."""

from collections.abc import Iterator

import pytest

from imagewright.errors import Forbidden, ImagewrightError, SystemFailure
from imagewright.registry import Client, Credential, for_registry
from support.fake_registry import cut, redirect
from support.loopback import Fault, LoopbackServer, Request, Response, loopback_server
from support.registry_faults import BLOB, MANIFEST, TOKEN, TRANSPORT, Case, check
from support.registry_world import World, attempt, pull

BAD = (SystemFailure, Forbidden)

CASES = {
    "to itself": Case(MANIFEST, redirect("{target}"), TRANSPORT, requests=10),
    "to itself, growing": Case(MANIFEST, redirect("{target}?"), TRANSPORT, requests=10),
    "of a blob to itself": Case(BLOB, redirect("{target}"), TRANSPORT, requests=16),
    "of the token to itself": Case(TOKEN, redirect("{target}"), (ImagewrightError,), requests=20),
    "to nowhere": Case(MANIFEST, redirect(""), TRANSPORT, requests=10),
    "without a place": Case(MANIFEST, lambda _q, _r: Response(307), TRANSPORT, requests=8),
    "to a file": Case(MANIFEST, redirect("file:///etc/passwd"), BAD, requests=8),
    "to another protocol": Case(MANIFEST, redirect("gopher://127.0.0.1/"), BAD, requests=8),
    "to a bad address": Case(MANIFEST, redirect("http://[::1/x"), BAD, requests=8),
    "to a bad port": Case(MANIFEST, redirect("http://127.0.0.1:99999/x"), BAD, requests=8),
    "to a port that is a word": Case(MANIFEST, redirect("http://127.0.0.1:x/x"), BAD, requests=8),
    "to a host with a space": Case(MANIFEST, redirect("http://127.0.0.1 x/"), BAD, requests=8),
    "of a blob to a file": Case(BLOB, redirect("file:///etc/passwd"), BAD, requests=8),
    "once, to itself": Case(MANIFEST, redirect("{target}"), times=1),
    "five times": Case(MANIFEST, redirect("{target}"), times=5),
    "six times": Case(MANIFEST, redirect("{target}"), TRANSPORT, times=6, requests=10),
    "of a blob, permanent": Case(BLOB, redirect("{target}", 301), times=1),
    "of a blob, found": Case(BLOB, redirect("{target}", 302), times=1),
    "of a blob, other": Case(BLOB, redirect("{target}", 303), times=1),
    "of a blob, permanent and strict": Case(BLOB, redirect("{target}", 308), times=1),
    "of a blob, to choose": Case(BLOB, redirect("{target}", 300), (ImagewrightError,)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_redirect(name: str, place: World) -> None:
    check(CASES[name], place, lambda client: pull(client, place.reference))


@pytest.fixture(params=["127.0.0.1", "127.0.0.2", "::1"])
def storage(place: World, request: pytest.FixtureRequest) -> Iterator[LoopbackServer]:
    """A host that has every blob, and every manifest by its digest, whatever the path."""

    def serve(asked: Request) -> Response:
        name = asked.path.rpartition("/")[2]
        repository = place.registry.repository("team/app")
        data = repository.blobs.get(name) or repository.manifests.get(name)
        kind = {"Content-Type": repository.types[name]} if name in repository.types else {}
        return Response(404) if data is None else Response(200, kind, data)

    with loopback_server(serve, address=request.param) as server:
        yield server


def told(server: LoopbackServer) -> set[str]:
    """Return the names of headers that may hold a secret, of all requests."""
    return {name for request in server.requests for name in request.headers} & {"authorization", "cookie", "referer"}


def test_another_host_serves_blobs_and_is_told_nothing(place: World, client: Client, storage: LoopbackServer) -> None:
    place.registry.fault(BLOB, redirect(storage.url + "{target}"))

    assert pull(client, place.reference)[1] == list(place.blobs.values())[:2]

    assert len(storage.requests) == 3
    assert told(storage) == set()


def test_another_host_serves_manifests_and_is_told_nothing(
    place: World, client: Client, storage: LoopbackServer
) -> None:
    place.registry.fault(MANIFEST, redirect(storage.url + "{target}"))

    assert client.get_manifest(place.pinned).data == place.registry.repository("team/app").manifests[place.digest]

    assert told(storage) == set()


def test_an_address_with_a_user_is_not_believed(place: World, client: Client, storage: LoopbackServer) -> None:
    place.registry.fault(BLOB, redirect(f"http://{place.registry.host}@{storage.host}{{target}}"))

    attempt(place, lambda: pull(client, place.reference), requests=20)

    assert told(storage) - {"authorization"} == set()
    assert not [secret for secret in place.secrets() for value in storage.authorizations if secret in value]


def test_a_broken_transfer_from_another_host_goes_on(place: World, client: Client, storage: LoopbackServer) -> None:
    """The place that a registry sends to is good for a while only, so it is asked for again."""
    place.registry.fault(BLOB, redirect(storage.url + "{target}"))
    storage.faults.append(Fault(".*", cut(500), times=1))

    assert pull(client, place.reference)[1] == list(place.blobs.values())[:2]

    assert told(storage) == set()


def test_a_way_back_tells_no_one_but_the_registry(place: World, client: Client) -> None:
    place.elsewhere_answer = lambda request: Response(307, {"Location": f"{place.registry.server.url}{request.target}"})
    place.registry.fault(BLOB, redirect(place.elsewhere.url + "{target}"), times=1)

    attempt(place, lambda: pull(client, place.reference), requests=20)

    assert told(place.elsewhere) == set()


def test_a_ring_of_two_hosts_ends(place: World, client: Client) -> None:
    place.elsewhere_answer = lambda request: Response(307, {"Location": f"{place.registry.server.url}{request.target}"})
    place.registry.fault(BLOB, redirect(place.elsewhere.url + "{target}"))

    outcome = attempt(place, lambda: pull(client, place.reference), requests=20)

    assert isinstance(outcome.error, SystemFailure)
    assert told(place.elsewhere) == set()


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("identity", [False, True], ids=["password", "identity token"])
def test_a_token_server_that_sends_elsewhere(place: World, number: int, identity: bool) -> None:
    """Neither the password nor an identity token, which goes in a body, goes with the redirect."""
    place.elsewhere_answer = lambda _request: Response(200, {}, b'{"token": "stolen"}')
    token = place.tokens.refresh_token("alice")
    credential = Credential(identity_token=token) if identity else place.keychain(place.registry.host)
    place.tokens.server.faults.append(Fault(TOKEN, redirect(place.elsewhere.url + "/token", number)))

    with place.client(keychain=for_registry(place.registry.host, credential)) as client:
        outcome = attempt(place, lambda: pull(client, place.reference), requests=20)

    assert outcome.error is not None
    assert told(place.elsewhere) == set()
    # `World.check_secrets` has the last word about bodies.
    assert not [request for request in place.elsewhere.requests if token in repr(request.body.seen)]
