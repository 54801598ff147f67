"""Connections that break, stop or crawl."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Corrupt, SystemFailure, Unavailable
from imagewright.oci import Descriptor
from imagewright.reference import Reference
from imagewright.registry import Client
from support.fake_registry import Change, cut, dripping
from support.loopback import Request, Response
from support.registry_faults import ANYTHING, BLOB, MANIFEST, TOKEN, TRANSPORT, Case, check, hung_up, stalled
from support.registry_world import World, attempt, pull, read_blob, world


def begins_again(position: int) -> "Case":
    """A server that cuts, and when asked for the rest begins again."""

    def make(place: World) -> Change:
        def change(request: Request, response: Response) -> Response:
            if "range" not in request.headers:
                return replace(response, cut=position)
            return replace(response, status=200, body=place.blobs[request.path.rpartition("/")[2]])

        return change

    return Case(BLOB, make=make)


def sends_another_part(shift: int, *, position: int = 700) -> Case:
    """A server that cuts, and when asked for the rest sends another part, and says so."""

    def make(place: World) -> Change:
        def change(request: Request, response: Response) -> Response:
            if "range" not in request.headers:
                return replace(response, cut=position)
            data = place.blobs[request.path.rpartition("/")[2]]
            span = f"bytes {position + shift}-{len(data) - 1}/{len(data)}"
            return replace(response, headers={**response.headers, "Content-Range": span}, body=data[position + shift :])

        return change

    return Case(BLOB, make=make, errors=(Corrupt, *TRANSPORT), requests=30)


def refuses_rest(number: int) -> Change:
    def change(request: Request, response: Response) -> Response:
        return replace(response, cut=700) if "range" not in request.headers else Response(number)

    return change


CASES = {
    "blob cut once": Case(BLOB, cut(700), times=1),
    "blob reset once": Case(BLOB, cut(700, reset=True), times=1),
    "blob cut after each thousand bytes": Case(BLOB, cut(1000)),
    "blob cut before its first byte, each time": Case(BLOB, cut(0), TRANSPORT, requests=20),
    "blob cut, and begun again when asked for the rest": begins_again(700),
    "blob cut, and then a later part": sends_another_part(5),
    "blob cut, and then an earlier part": sends_another_part(-5),
    "blob cut, and then not satisfiable": Case(BLOB, refuses_rest(416), (Corrupt, *TRANSPORT), requests=30),
    "manifest cut once": Case(MANIFEST, cut(20), times=1),
    "manifest cut each time": Case(MANIFEST, cut(20), TRANSPORT, requests=15),
    "hung up twice on everything": Case(ANYTHING, hung_up, times=2, instead=True),
    "hung up on the manifest each time": Case(MANIFEST, hung_up, TRANSPORT, instead=True, requests=15),
    "hung up on the blob each time": Case(BLOB, hung_up, TRANSPORT, instead=True, requests=20),
    "hung up on the token each time": Case(TOKEN, hung_up, TRANSPORT, instead=True, requests=20),
    "manifest that crawls": Case(MANIFEST, dripping(0.05), TRANSPORT),
    "token that crawls": Case(TOKEN, dripping(0.05), TRANSPORT),
    "blob that crawls": Case(BLOB, dripping(0.05), TRANSPORT),
    "blob that crawls once": Case(BLOB, dripping(0.05), times=1),
    "blob that stops, once": Case(BLOB, stalled(100), times=1),
    "blob that stops, each time": Case(BLOB, stalled(0), TRANSPORT, requests=20),
    "manifest that stops, once": Case(MANIFEST, stalled(100), times=1),
    "manifest that stops, each time": Case(MANIFEST, stalled(0), TRANSPORT, requests=15),
    "token that stops, each time": Case(TOKEN, stalled(0), TRANSPORT, requests=20),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pull_over_a_connection_that_fails(name: str, place: World) -> None:
    check(CASES[name], place, lambda client: pull(client, place.reference))


SIZE = 5000
POSITIONS = [round(index * (SIZE - 1) / 49) for index in range(50)]


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """Nothing of it is changed but by faults that are used up."""
    with world(sizes=()) as made:
        made.registry.add_blob("team/app", bytes(range(250)) * (SIZE // 250))
        yield made


@pytest.mark.parametrize("reset", [False, True], ids=["end", "reset"])
@pytest.mark.parametrize("position", POSITIONS)
def test_a_blob_goes_on_where_it_broke(shared: World, position: int, reset: bool) -> None:
    blob = next(digest for digest, data in shared.blobs.items() if len(data) == SIZE)
    asked = len(shared.registry.server.requests)
    shared.registry.fault(BLOB, cut(position, reset=reset), times=1)

    with shared.client() as client:
        data = read_blob(client, shared.reference, Descriptor("x", blob, SIZE))

    assert data == shared.blobs[blob]
    ranges = [request.headers.get("range", "") for request in shared.registry.server.requests[asked:]]
    ranges = ranges[-2:]
    if reset:
        # A reset may overtake bytes that were sent before it.
        start = int(ranges[1].removeprefix("bytes=").rstrip("-").partition("-")[0] or 0)
        assert start <= position
    else:
        assert ranges[0] == ""
        assert ranges[1] in (
            {"", "bytes=0-"} if position == 0 else {f"bytes={position}-", f"bytes={position}-{SIZE - 1}"}
        )


@pytest.mark.parametrize("position", range(0, 300, 20))
@pytest.mark.parametrize("pattern", [BLOB, MANIFEST, TOKEN], ids=["blob", "manifest", "token"])
def test_an_answer_that_breaks_in_its_head_is_asked_for_again(place: World, position: int, pattern: str) -> None:
    case = Case(pattern, lambda _q, r: replace(r, cut_head=position), times=1)
    check(case, place, lambda client: pull(client, place.reference))


def test_nobody_there(place: World, client: Client) -> None:
    reference = Reference.parse("127.0.0.1:9/team/app:1")

    outcome = attempt(place, lambda: pull(client, reference), requests=0)

    assert isinstance(outcome.error, (SystemFailure, Unavailable))
    assert "connection refused" in str(outcome.error)
    assert "127.0.0.1:9" in str(outcome.error)


@pytest.mark.parametrize("pattern", [BLOB, MANIFEST, TOKEN], ids=["blob", "manifest", "token"])
@pytest.mark.parametrize("change", [stalled(0), dripping(0.01)], ids=["stopped", "crawling"])
def test_a_cancelled_pull_ends_at_once(place: World, pattern: str, change: Change) -> None:
    cancellation = Cancellation()

    def cancel_soon(request: Request, response: Response) -> Response:
        cancellation.cancel()
        return change(request, response)

    for server in (place.registry, place.tokens):
        server.server.faults.clear()
    place.registry.fault(pattern, cancel_soon)
    place.tokens.server.faults.extend(place.registry.server.faults)

    # Who is not woken waits for longer than an attempt may take.
    with place.client(replace(place.settings, idle_timeout=60.0)) as client:
        outcome = attempt(place, lambda: pull(client, place.reference, cancellation))

    assert isinstance(outcome.error, Cancelled)


def test_a_cancelled_pull_does_not_begin(place: World, client: Client) -> None:
    cancellation = Cancellation()
    cancellation.cancel()

    outcome = attempt(place, lambda: pull(client, place.reference, cancellation), requests=0)

    assert isinstance(outcome.error, Cancelled)


def test_a_reader_can_be_left(place: World, client: Client) -> None:
    reader = client.open_blob(place.reference, Descriptor("x", place.blob, len(place.blobs[place.blob])))
    assert reader.read(10)

    reader.close()
    reader.close()

    assert pull(client, place.reference)[1] == list(place.blobs.values())[:2]
