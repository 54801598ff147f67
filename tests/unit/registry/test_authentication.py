from concurrent.futures import ThreadPoolExecutor

import pytest

from imagewright.errors import ImagewrightError
from imagewright.registry.authentication import covers
from support.loopback import Fault, Response
from support.registry_world import world


@pytest.mark.parametrize(
    ("granted", "wanted", "expected"),
    [
        ({"repository:a:pull,push"}, {"repository:a:pull"}, True),
        ({"repository:a:push,pull"}, {"repository:a:pull,push"}, True),
        ({"repository:a:pull"}, {"repository:a:pull,push"}, False),
        ({"repository:a:pull", "repository:b:pull"}, {"repository:b:pull"}, True),
        ({"repository:a:pull"}, {"repository:b:pull"}, False),
        ({"repository:a:pull"}, set(), True),
        (set(), {"repository:a:pull"}, False),
        (set(), set(), True),
        ({"repository:host:5000/a:pull"}, {"repository:host:5000/a:pull"}, True),
    ],
)
def test_scopes_cover_others(granted: set[str], wanted: set[str], expected: bool) -> None:
    assert covers(granted, wanted) == expected


def test_many_threads_ask_for_one_token() -> None:
    with world() as place, place.client() as client, ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(lambda _: client.get_manifest(place.reference).digest, range(16)))) == 1
        assert len(place.tokens.server.requests) == 1


def test_a_token_that_was_good_is_renewed_once() -> None:
    with world() as place, place.client() as client:
        client.get_manifest(place.reference)
        place.tokens.revoke()
        client.get_manifest(place.reference)
        assert len(place.tokens.server.requests) == 2


def test_a_token_that_allows_too_little_is_not_asked_for_again() -> None:
    with world() as place, place.client() as client:
        client.get_manifest(place.reference)
        challenge = place.tokens.challenge(f"repository:{place.reference.repository}:pull", error="insufficient_scope")
        place.registry.server.faults.append(
            Fault("GET .*/manifests/.*", lambda _request, _answer: Response(401, {"WWW-Authenticate": challenge}))
        )
        with pytest.raises(ImagewrightError, match="denied"):
            client.get_manifest(place.reference)
        assert len(place.tokens.server.requests) == 1
