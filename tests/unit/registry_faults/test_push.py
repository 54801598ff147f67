"""What can go wrong while an image is pushed: what arrives is what was sent, or nothing."""

import io
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Corrupt, Forbidden, ImagewrightError, InvalidInput, NotFound
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.registry import Client
from support.fake_registry import OCI_MANIFEST, Change, endless, headers, redirect, status, torn
from support.loopback import Drop, Request, Response
from support.registry_faults import ANYTHING, TOKEN, TRANSPORT, Case, check, hung_up, stalled
from support.registry_world import NAME, World, attempt, settings

BEGIN = "POST /v2/.*/blobs/uploads/"
CHUNK = "PATCH /v2/.*"
OFFSET = "GET /v2/.*/blobs/uploads/.*"
END = "PUT /v2/.*/blobs/uploads/.*"
HEAD = "HEAD /v2/.*"
CHUNK_OR_OFFSET = "(PATCH|GET) /v2/.*/blobs/uploads/.*"
SENDING = "(PATCH|PUT) /v2/.*/blobs/uploads/.*"

DATA = random.Random(1).randbytes(300_000)  # noqa: S311 - the same in each run
DIGEST = Digest.of(DATA)
TARGET = "team/new"


@dataclass
class Sent:
    """What progress said."""

    told: list[int]

    def __call__(self, count: int) -> None:
        self.told.append(count)


def target(place: World) -> Reference:
    return Reference.parse(f"{place.registry.host}/{TARGET}:1")


def upload(client: Client, place: World, *, data: bytes = DATA, cancellation: Cancellation | None = None) -> list[int]:
    sent = Sent([])
    client.upload_blob(
        target(place), len(data), Digest.of(data), lambda: io.BytesIO(data), cancellation=cancellation, progress=sent
    )
    assert place.registry.repository(TARGET).blobs[str(Digest.of(data))] == data
    return sent.told


def forgets(keep: int) -> Callable[[World], Change]:
    """A registry that lost what came after `keep` bytes, and says so."""

    def make(place: World) -> Change:
        def change(request: Request, response: Response) -> Response:
            uploads(place)[request.path.rpartition("/")[2]][keep:] = b""
            return replace(response, headers={**response.headers, "Range": f"0-{max(0, keep - 1)}"})

        return change

    return make


def loses_upload(place: World) -> Change:
    """A registry that lost it all."""

    def change(request: Request, response: Response) -> Response:
        uploads(place).clear()
        return status(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")(request, response)

    return change


def revokes(place: World) -> Change:
    """A registry that wants a new token, and has kept nothing of what came with the old one."""

    def change(request: Request, response: Response) -> Response:
        place.tokens.revoke()
        if request.method == "PATCH":
            uploads(place)[request.path.rpartition("/")[2]][:] = b""
        text = place.tokens.challenge(f"repository:{TARGET}:pull,push")
        return status(401, "UNAUTHORIZED", WWW_Authenticate=text)(request, response)

    return change


def uploads(place: World) -> dict[str, bytearray]:
    return place.registry.repository(TARGET).uploads


CASES = {
    "nothing": Case("-", requests=12),
    "500 twice at the beginning": Case(BEGIN, status(500), times=2),
    "500 once in the middle": Case(SENDING, status(500), times=1, instead=True),
    "500 once at the end": Case(END, status(500), times=1, instead=True),
    "500 once after the end": Case(END, status(500), times=1),
    "500 each time at the beginning": Case(BEGIN, status(500), TRANSPORT, requests=15),
    "500 each time in the middle": Case(SENDING, status(500), TRANSPORT, instead=True, requests=30),
    "429 at the beginning": Case(BEGIN, status(429, Retry_After="2"), times=1, slept=2),
    "429 in the middle": Case(SENDING, status(429, Retry_After="2"), times=1, slept=2, instead=True),
    "hung up twice on everything": Case(ANYTHING, hung_up, times=2, instead=True),
    "hung up in the middle, having kept it": Case(SENDING, hung_up, times=1),
    "hung up each time in the middle": Case(SENDING, hung_up, TRANSPORT, instead=True, requests=30),
    "hung up when asked for the offset": Case(OFFSET, hung_up, times=1),
    "upload forgotten in the middle": Case(SENDING, make=loses_upload, times=1),
    "upload forgotten each time": Case(SENDING, make=loses_upload, errors=(*TRANSPORT, NotFound), requests=40),
    "the offset is behind": Case(CHUNK, make=forgets(10_000), times=1),
    "the offset is nothing": Case(CHUNK, make=forgets(0), times=1),
    "the offset is nothing each time": Case(CHUNK, make=forgets(0), errors=(*TRANSPORT, Corrupt), requests=60),
    "the offset is ahead": Case(CHUNK, headers(Range="0-999999999"), (ImagewrightError,), times=1),
    "the offset is ahead each time": Case(CHUNK_OR_OFFSET, headers(Range="0-999999999"), (ImagewrightError,)),
    "the offset is no number": Case(CHUNK, headers(Range="bytes=x-y"), times=1),
    "the offset is negative": Case(CHUNK, headers(Range="0--5"), times=1),
    "the offset is missing": Case(CHUNK, headers("Range")),
    "416 in the middle": Case(CHUNK, status(416), times=1, instead=True),
    "416 each time": Case(CHUNK, status(416), (*TRANSPORT, InvalidInput), requests=60, instead=True),
    "no place to send to": Case(BEGIN, headers("Location"), (ImagewrightError,), requests=20),
    "a bad place to send to": Case(BEGIN, headers(Location="http://[::1/x"), (ImagewrightError,), requests=20),
    "a file to send to": Case(BEGIN, headers(Location="file:///etc/passwd"), (ImagewrightError,), requests=20),
    "a place without a query": Case(BEGIN, headers(Location=f"/v2/{TARGET}/blobs/uploads/1")),
    "no place to go on to": Case(CHUNK, headers("Location")),
    "401 in the middle": Case(SENDING, make=revokes, times=1),
    "401 at the end": Case(END, make=revokes, times=1, instead=True),
    "401 each time": Case(BEGIN, status(401, "UNAUTHORIZED"), (Forbidden, NotFound), requests=10),
    "403": Case(BEGIN, status(403, "DENIED", "requested access to the resource is denied"), (Forbidden,), requests=10),
    "413 in the middle": Case(SENDING, status(413), (ImagewrightError,), requests=30),
    "400 at the end": Case(END, status(400, "DIGEST_INVALID", "no"), (ImagewrightError,), requests=30, instead=True),
    "endless answer": Case(SENDING, endless(), times=1),
    "endless error": Case(BEGIN, lambda q, r: endless()(q, status(400)(q, r)), (ImagewrightError,)),
    "redirect in the middle": Case(SENDING, redirect("{target}"), (ImagewrightError,), requests=20, instead=True),
    "redirect loop": Case(BEGIN, redirect("{target}"), (ImagewrightError,), requests=20),
    "an answer that does not come": Case(SENDING, lambda q, r: stalled(0)(q, replace(r, body=b"x")), times=1),
    "a token that does not come": Case(TOKEN, stalled(0), TRANSPORT),
    "500 when asked whether it is there": Case(HEAD, status(500), times=2),
}


@pytest.mark.parametrize(
    ("name", "chunk"),
    [(name, 64_000) for name in CASES]
    + [(name, 1 << 26) for name, case in CASES.items() if case.pattern not in {CHUNK, CHUNK_OR_OFFSET}],
)
def test_an_upload(name: str, chunk: int, place: World) -> None:
    place.settings = settings(upload_chunk=chunk, upload_timeout=0.5)
    check(CASES[name], place, lambda client: upload(client, place))

    # Whatever came of it, nothing is there that is not right.
    assert set(place.registry.repository(TARGET).blobs) <= {str(DIGEST)}


POSITIONS = [round(index * (len(DATA) - 1) / 49) for index in range(50)]


@pytest.mark.parametrize("position", POSITIONS)
def test_an_upload_goes_on_where_it_broke(place: World, position: int) -> None:
    place.registry.fault(SENDING, prepare=torn(position), times=1)

    with Client(settings(upload_chunk=1 << 26), place.keychain, sleep=place.slept.append) as client:
        outcome = attempt(place, lambda: upload(client, place), requests=14)

    assert outcome.error is None, repr(outcome.error)


def test_an_upload_that_breaks_again_and_again_but_gets_further(place: World, client: Client) -> None:
    place.registry.fault(SENDING, prepare=torn(40_000), times=7)

    told = upload(client, place)

    assert told[-1] == len(DATA)


def test_progress_says_how_far_it_is(place: World) -> None:
    with Client(settings(upload_chunk=64_000), place.keychain, sleep=place.slept.append) as client:
        told = upload(client, place)

    assert told == sorted(told)
    assert told[-1] == len(DATA)


@pytest.mark.parametrize("data", [b"", b"x", b"x" * 63_999, b"x" * 64_000, b"x" * 64_001, b"x" * 128_000])
def test_blobs_of_every_size(place: World, data: bytes) -> None:
    with Client(settings(upload_chunk=64_000), place.keychain, sleep=place.slept.append) as client:
        upload(client, place, data=data)


def test_a_registry_that_wants_larger_chunks(place: World) -> None:
    place.registry.minimum = 100_000
    with Client(settings(upload_chunk=10_000), place.keychain, sleep=place.slept.append) as client:
        upload(client, place)

    chunks = [request for request in place.registry.server.requests if request.method == "PATCH"]
    assert len(chunks) <= 4


@pytest.mark.parametrize(
    "source",
    [DATA[:-1], b"x" + DATA, b"", bytes(len(DATA))],
    ids=["shorter", "longer", "nothing", "other bytes"],
)
def test_a_source_that_is_not_what_it_was(place: World, client: Client, source: bytes) -> None:
    outcome = attempt(
        place,
        lambda: client.upload_blob(target(place), len(DATA), DIGEST, lambda: io.BytesIO(source)),
        requests=40,
    )

    assert isinstance(outcome.error, ImagewrightError)
    assert place.registry.repository(TARGET).blobs == {}


def test_a_source_that_fails(place: World, client: Client) -> None:
    class Failing:
        def read(self, n: int, /) -> bytes:
            raise Corrupt(f"cannot give {n}")

    def open_() -> Readable:
        return Failing()

    outcome = attempt(place, lambda: client.upload_blob(target(place), len(DATA), DIGEST, open_), requests=12)

    assert isinstance(outcome.error, Corrupt)
    assert "cannot give" in str(outcome.error)


@pytest.mark.parametrize("answer", ["stall", "drop", "sends on"])
def test_a_cancelled_upload_ends_at_once(place: World, answer: str) -> None:
    cancellation = Cancellation()

    def change(request: Request, response: Response) -> Response:
        cancellation.cancel()
        if answer == "drop":
            raise Drop
        return stalled(0)(request, replace(response, body=b"x")) if answer == "stall" else response

    place.registry.fault(SENDING, change)

    # Who is not woken waits for longer than an attempt may take.
    with place.client(replace(place.settings, idle_timeout=60.0, upload_timeout=60.0)) as client:
        outcome = attempt(place, lambda: upload(client, place, cancellation=cancellation))

    assert outcome.error is None or isinstance(outcome.error, Cancelled)


@pytest.mark.parametrize("pattern", [BEGIN, CHUNK])
def test_a_place_elsewhere_is_told_nothing(place: World, client: Client, pattern: str) -> None:
    place.elsewhere_answer = lambda _request: Response(201)
    place.registry.fault(pattern, headers(Location=f"{place.elsewhere.url}/store?key=1"))

    attempt(
        place,
        lambda: client.upload_blob(target(place), len(DATA), DIGEST, lambda: io.BytesIO(DATA)),
        requests=20,
    )

    assert place.elsewhere.authorizations == set()


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
def test_a_redirect_elsewhere_is_told_nothing(place: World, client: Client, number: int) -> None:
    place.registry.fault("(POST|PUT|PATCH) .*", redirect(place.elsewhere.url + "{target}", number))

    outcome = attempt(place, lambda: upload(client, place), requests=20)

    assert outcome.error is not None
    assert place.elsewhere.authorizations == set()


class TestMounts:
    def test_what_is_there_is_not_sent(self, place: World, client: Client) -> None:
        assert client.mount_blob(target(place), Digest.parse(place.blob), NAME)

        assert place.blob in place.registry.repository(TARGET).blobs
        assert place.registry.server.count(SENDING) == 0

    def test_what_is_not_there(self, place: World, client: Client) -> None:
        assert not client.mount_blob(target(place), DIGEST, NAME)
        assert not client.mount_blob(target(place), DIGEST, "team/none")

    def test_an_upload_that_a_mount_began_is_not_left(self, place: World, client: Client) -> None:
        client.mount_blob(target(place), DIGEST, NAME)
        upload(client, place)

        assert place.registry.repository(TARGET).uploads == {}

    def test_of_a_repository_that_may_not_be_seen(self, place: World, client: Client) -> None:
        place.registry.fault(BEGIN, status(403, "DENIED"), times=1)

        outcome = attempt(place, lambda: client.mount_blob(target(place), Digest.parse(place.blob), "secret/thing"))

        assert outcome.value is False or isinstance(outcome.error, Forbidden)


class TestManifests:
    DATA = b'{"schemaVersion": 2}'

    def put(self, place: World, client: Client) -> Digest:
        return client.put_manifest(target(place), OCI_MANIFEST, self.DATA)

    def test_is_stored_as_it_is(self, place: World, client: Client) -> None:
        digest = self.put(place, client)

        repository = place.registry.repository(TARGET)
        assert repository.manifests[repository.tags["1"]] == self.DATA
        assert repository.types[str(digest)] == OCI_MANIFEST

    def test_by_its_digest(self, place: World, client: Client) -> None:
        reference = replace(target(place), tag="", digest=Digest.of(self.DATA))

        assert client.put_manifest(reference, OCI_MANIFEST, self.DATA) == reference.digest
        assert place.registry.repository(TARGET).tags == {}

    def test_of_another_digest_than_the_one_it_goes_by(self, place: World, client: Client) -> None:
        reference = replace(target(place), tag="", digest=DIGEST)

        outcome = attempt(place, lambda: client.put_manifest(reference, OCI_MANIFEST, self.DATA), requests=0)

        assert isinstance(outcome.error, InvalidInput)
        assert str(DIGEST) not in place.registry.repository(TARGET).manifests

    @pytest.mark.parametrize("number", [500, 502, 503, 504, 429])
    def test_is_tried_again(self, place: World, client: Client, number: int) -> None:
        place.registry.fault("PUT .*/manifests/.*", status(number), times=2)

        self.put(place, client)

    def test_is_tried_again_when_the_connection_breaks(self, place: World, client: Client) -> None:
        place.registry.fault("PUT .*/manifests/.*", hung_up, times=1)
        place.registry.fault("PUT .*/manifests/.*", prepare=torn(5), times=1)

        self.put(place, client)

    @pytest.mark.parametrize(("number", "code"), [(400, "MANIFEST_INVALID"), (404, "NAME_UNKNOWN"), (413, "SIZE")])
    def test_is_refused_in_words(self, place: World, client: Client, number: int, code: str) -> None:
        place.registry.fault("PUT .*/manifests/.*", status(number, code, "not so"))

        outcome = attempt(place, lambda: self.put(place, client), requests=8)

        assert isinstance(outcome.error, ImagewrightError)
        assert "not so" in str(outcome.error)

    def test_whose_digest_is_another_there(self, place: World, client: Client) -> None:
        place.registry.fault("PUT .*/manifests/.*", headers(Docker_Content_Digest=str(DIGEST)))

        outcome = attempt(place, lambda: self.put(place, client))

        assert isinstance(outcome.error, Corrupt)

    def test_without_a_digest_in_the_answer(self, place: World, client: Client) -> None:
        place.registry.fault("PUT .*/manifests/.*", headers("Docker-Content-Digest", "Location"))

        assert self.put(place, client) == Digest.of(self.DATA)

    @pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
    def test_is_not_sent_elsewhere_with_a_token(self, place: World, client: Client, number: int) -> None:
        place.registry.fault("PUT .*/manifests/.*", redirect(place.elsewhere.url + "{target}", number))

        outcome = attempt(place, lambda: self.put(place, client), requests=20)

        assert outcome.error is not None
        assert place.elsewhere.authorizations == set()
