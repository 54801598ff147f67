"""Servers that refuse, or have enough."""

from dataclasses import replace

import pytest

from imagewright.errors import Corrupt, Forbidden, ImagewrightError, NotFound, SystemFailure, Unavailable
from imagewright.registry import Client
from support.fake_registry import Change, endless, status
from support.loopback import Request, Response
from support.registry_faults import BLOB, MANIFEST, TOKEN, TRANSPORT, Case, body, check
from support.registry_world import NAME, World, attempt, pull, settings

REFUSED = (Forbidden, NotFound)
MANY = "TOOMANYREQUESTS"


def challenged(place: World) -> Change:
    return status(401, "UNAUTHORIZED", WWW_Authenticate=place.tokens.challenge(f"repository:{NAME}:pull"))


def echoed(request: Request, _response: Response) -> Response:
    """The error holds what the client sent: servers exist that think it a help."""
    return status(400, "BAD", f"you sent {dict(request.headers)} {request.target}")(request, Response())


CASES = {
    "500 twice for the manifest": Case(MANIFEST, status(500), times=2),
    "500 twice for the blob": Case(BLOB, status(500), times=2),
    "503 twice for the token": Case(TOKEN, status(503), times=2),
    "500 each time for the manifest": Case(MANIFEST, status(500), TRANSPORT, requests=15),
    "502 each time for the blob": Case(BLOB, status(502), TRANSPORT, requests=20),
    "500 each time for the token": Case(TOKEN, status(500), TRANSPORT, requests=20),
    "500 with an endless body": Case(MANIFEST, lambda q, r: endless()(q, status(500)(q, r)), TRANSPORT, requests=15),
    "400 with an endless body": Case(MANIFEST, lambda q, r: endless()(q, status(400)(q, r)), (ImagewrightError,)),
    "401 with an endless body": Case(
        MANIFEST, make=lambda place: lambda q, r: endless()(q, challenged(place)(q, r)), errors=(ImagewrightError,)
    ),
    "429, to wait two seconds": Case(BLOB, status(429, MANY, Retry_After="2"), times=1, slept=2),
    "503, to wait two seconds": Case(MANIFEST, status(503, MANY, Retry_After="2"), times=1, slept=2),
    "429 without a word": Case(BLOB, status(429, MANY), times=2),
    "429 with nonsense": Case(BLOB, status(429, MANY, Retry_After="soon; -1"), times=2),
    "429 with another script's digits": Case(BLOB, status(429, MANY, Retry_After="\u00b2"), times=2),
    "429 with a negative number": Case(BLOB, status(429, MANY, Retry_After="-5"), times=2),
    "429 with a date long gone": Case(BLOB, status(429, MANY, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"), times=2),
    "429 with a date far off": Case(MANIFEST, status(429, Retry_After="Fri, 31 Dec 2199 23:59:59 GMT"), (Unavailable,)),
    "429 with a date that is none": Case(BLOB, status(429, MANY, Retry_After="Wed, 99 Oct 2015 07:28:00 GMT"), times=2),
    "429, to wait a day": Case(MANIFEST, status(429, MANY, Retry_After="86400"), (Unavailable,), requests=6),
    "429, to wait for ever": Case(MANIFEST, status(429, Retry_After="9" * 400), TRANSPORT, requests=15),
    "429 each time": Case(MANIFEST, status(429, MANY, Retry_After="1"), (Unavailable,), requests=15),
    "429 for the token, to wait a second": Case(TOKEN, status(429, Retry_After="1"), times=1, slept=1),
    "401 each time, with the challenge": Case(MANIFEST, make=challenged, errors=REFUSED, requests=8),
    "401 each time for the blob, with the challenge": Case(BLOB, make=challenged, errors=REFUSED, requests=14),
    "401 without a challenge": Case(MANIFEST, status(401, "UNAUTHORIZED"), REFUSED, requests=6),
    "401 of an unknown kind": Case(
        MANIFEST, status(401, "UNAUTHORIZED", WWW_Authenticate="Negotiate abc"), REFUSED, requests=6
    ),
    "401 for the blob": Case(BLOB, status(401, "UNAUTHORIZED"), REFUSED, requests=14),
    "401 for the token": Case(TOKEN, status(401, "UNAUTHORIZED"), REFUSED, requests=6),
    "403 for the token": Case(TOKEN, status(403, "DENIED"), REFUSED, requests=6),
    "404 for the token": Case(TOKEN, status(404, "NOT_FOUND"), (ImagewrightError,), requests=6),
    "403 for the manifest": Case(MANIFEST, status(403, "DENIED", "no"), REFUSED, requests=8),
    "404 for the manifest": Case(
        MANIFEST,
        status(404, "MANIFEST_UNKNOWN", "manifest unknown"),
        (NotFound,),
        requests=8,
        says=rf"^manifest for 127\.0\.0\.1:\d+/{NAME}:1 not found: manifest unknown: manifest unknown$",
    ),
    "404 for the repository": Case(
        MANIFEST, status(404, "NAME_UNKNOWN", "repository name not known to registry"), (NotFound,), requests=8
    ),
    "404 for the manifest, with a page": Case(MANIFEST, body(b"<html>" * 9000, 404), (NotFound,), requests=8),
    "404 for the blob": Case(BLOB, status(404, "BLOB_UNKNOWN"), (NotFound, Corrupt, SystemFailure), requests=10),
    "416 for the blob": Case(BLOB, status(416), (ImagewrightError,), requests=20),
    "418 for the blob": Case(BLOB, status(418), (ImagewrightError,), requests=20),
    "304 for the manifest": Case(MANIFEST, lambda _q, _r: Response(304), (ImagewrightError,), requests=20),
    "an error that is a novel": Case(MANIFEST, status(400, "X" * 5000, "y" * 100_000), (ImagewrightError,), requests=8),
    "an error that moves the cursor": Case(
        MANIFEST, status(400, "NO\x1b[1A", "\x1b[2J\r\nDone\u202e\x00"), (ImagewrightError,), requests=8
    ),
    "errors that are no list": Case(MANIFEST, body(b'{"errors": 5}', 400), (ImagewrightError,), requests=8),
    "errors that are not objects": Case(MANIFEST, body(b'{"errors": [5, null]}', 400), (ImagewrightError,), requests=8),
    "errors that are deep": Case(MANIFEST, body(b'{"errors":' * 9999, 400), (ImagewrightError,), requests=8),
    "errors that are many": Case(
        MANIFEST, body(b'{"errors": [' + b"{}," * 9999 + b"{}]}", 400), (ImagewrightError,), requests=8
    ),
    "an error that quotes the request": Case(MANIFEST, echoed, (ImagewrightError,), requests=8),
    "a token error that quotes the request": Case(TOKEN, echoed, (ImagewrightError,), requests=8),
}


@pytest.mark.parametrize("name", CASES)
def test_a_pull_that_is_refused(name: str, place: World) -> None:
    check(CASES[name], place, lambda client: pull(client, place.reference))


CHALLENGES = [
    "",
    "Bearer",
    "Bearer realm",
    "Bearer realm=",
    'Bearer realm=""',
    'Bearer realm="/token"',
    'Bearer realm="token"',
    'Bearer realm="file:///etc/passwd"',
    'Bearer realm="ftp://127.0.0.1/"',
    'Bearer realm="http://"',
    'Bearer realm="http://[::1/x"',
    'Bearer realm="http://127.0.0.1:99999/"',
    'Bearer realm="http://127.0.0.1:0/"',
    'Bearer realm="http://exa mple/"',
    'Bearer realm="https://127.0.0.1:9/token"',
    'Bearer realm="unterminated',
    'Bearer realm="x" realm="y"',
    "Bearer " + "," * 5000,
    "Bearer " + 'a="' * 5000,
    "Bearer " + "a=b," * 5000,
    '"' * 9999,
    "\\" * 9999,
    "Digest realm=x, nonce=y",
    "Basic",
]


@pytest.mark.parametrize("text", CHALLENGES, ids=[text[:40] for text in CHALLENGES])
def test_a_challenge_that_cannot_be_met(place: World, text: str) -> None:
    case = Case(MANIFEST, status(401, "UNAUTHORIZED", WWW_Authenticate=text), (ImagewrightError,), requests=14)
    # A challenge to be basic is met with the password: that is what it is for.
    if text == "Basic":
        place.registry.tokens, place.registry.accounts = None, {"bob": "x"}
    check(case, place, lambda client: pull(client, place.reference))


def test_what_is_waited_for_grows(place: World, client: Client) -> None:
    place.registry.fault(MANIFEST, status(500))

    attempt(place, lambda: pull(client, place.reference))

    assert len(place.slept) == settings().tries - 1
    assert all(earlier < later for earlier, later in zip(place.slept, place.slept[1:], strict=False))


def test_a_refused_manifest_is_told_apart_from_a_missing_one(place: World, client: Client) -> None:
    assert client.head_manifest(place.reference.with_tag("none")) is None
    place.registry.fault("HEAD .*/manifests/.*", status(500))

    outcome = attempt(place, lambda: client.head_manifest(place.reference))

    assert isinstance(outcome.error, TRANSPORT)


@pytest.mark.parametrize("link", ["{target}", "/v2/x/tags/list?n=1", "", ">", "<", '<>; rel="next"', "garbage"])
def test_pages_of_tags_end(place: World, client: Client, link: str) -> None:
    def again(request: Request, response: Response) -> Response:
        text = f'<{request.target}>; rel="next"' if link == "{target}" else link
        return replace(response, headers={**response.headers, "Link": text})

    place.registry.fault(".*/tags/list", again)

    attempt(place, lambda: client.list_tags(place.reference), requests=1200)


def test_pages_of_tags_make_one_list(place: World, client: Client) -> None:
    place.registry.page = 2
    for number in range(2, 8):
        place.registry.repository(NAME).tags[str(number)] = place.digest

    assert client.list_tags(place.reference) == [str(number) for number in range(1, 8)]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"tags": null}', b'{"tags": 5}', b'{"tags": [5]}', b"<html>"])
def test_tags_that_are_none(place: World, client: Client, data: bytes) -> None:
    place.registry.fault(".*/tags/list", body(data))

    outcome = attempt(place, lambda: client.list_tags(place.reference), requests=8)

    assert outcome.error is not None or outcome.value == []
