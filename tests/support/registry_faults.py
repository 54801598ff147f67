"""What can be wrong with one answer of a registry, and how a test says so."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from imagewright.errors import ImagewrightError, SystemFailure, Unavailable
from imagewright.registry import Client
from support.fake_registry import Change
from support.loopback import Drop, Fault, Request, Response
from support.registry_world import World, attempt

__all__ = [
    "ANYTHING",
    "BLOB",
    "MANIFEST",
    "TOKEN",
    "TRANSPORT",
    "Case",
    "body",
    "check",
    "hung_up",
    "longer",
    "lying_length",
    "shorter",
    "stalled",
    "tampered",
]

MANIFEST = "GET /v2/.*/manifests/.*"
BLOB = "GET /v2/.*/blobs/.*"
TOKEN = "(GET|POST) /token"  # noqa: S105 - a pattern
ANYTHING = ".*"

TRANSPORT = (SystemFailure, Unavailable)
"""What a connection that cannot be used ends in."""


@dataclass(frozen=True)
class Case:
    """Requests that match `pattern` go wrong as `change` says, or the change that `make` makes in the test's world.

    `errors` is empty where all ends well, and else holds the kinds of error that are right; the error's text then
    matches `says`. `slept` is how long the client must have waited, in seconds, and `sent` the most bytes of bodies
    that it may have taken of one server.
    """

    pattern: str
    change: Change | None = None
    errors: tuple[type[ImagewrightError], ...] = ()
    times: int = 1 << 30
    requests: int = 60
    says: str = ""
    slept: float = 0
    sent: int = 32 << 20
    instead: bool = False
    make: Callable[[World], Change] | None = None
    prepare: Callable[[Request], None] | None = None


def check(case: Case, place: World, action: Callable[[Client], object]) -> None:
    """Do `action` while things go wrong; check that it ends as the case says."""
    change = case.change if case.make is None else case.make(place)
    servers = (place.registry.server, place.tokens.server)
    for server in servers:
        server.faults.append(Fault(case.pattern, change, case.prepare, times=case.times, instead=case.instead))
    with place.client() as client:
        outcome = attempt(place, lambda: action(client), requests=case.requests)
    if case.errors:
        assert isinstance(outcome.error, case.errors), repr(outcome.error or outcome.value)
        assert re.search(case.says, str(outcome.error)), str(outcome.error)
        # Nobody who reads it in a terminal is to be fooled.
        assert str(outcome.error).isprintable(), str(outcome.error)
    else:
        assert outcome.error is None, repr(outcome.error)
    assert sum(place.slept) >= case.slept, place.slept
    assert max(server.sent for server in servers) <= case.sent


def tampered(_request: Request, response: Response) -> Response:
    """The first bit is another."""
    return replace(response, body=bytes([response.body[0] ^ 1]) + response.body[1:])


def longer(_request: Request, response: Response) -> Response:
    """There is more than was promised."""
    return replace(response, body=response.body + b"more")


def shorter(_request: Request, response: Response) -> Response:
    """The end is missing, and nothing says so."""
    return replace(response, body=response.body[:-4])


def hung_up(_request: Request, _response: Response) -> Response:
    """The connection ends before there is any answer."""
    raise Drop


def body(data: bytes, number: int = 200, extra: Mapping[str, str] | None = None) -> Change:
    """Something else altogether, with the right headers but for `extra`."""
    return lambda _request, response: Response(number, {**response.headers, **(extra or {})}, data)


def lying_length(length: int) -> Change:
    """A length that is not the body's."""
    return lambda _request, response: replace(response, length=length)


def stalled(position: int) -> Change:
    """Nothing comes after so many bytes of the body, and the connection stays."""
    return lambda _request, response: replace(response, stall=position)
