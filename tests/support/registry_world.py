"""A registry with a token server, another host that nothing should be told, and a client that does not wait."""

import base64
import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from imagewright.cancellation import Cancellation
from imagewright.errors import ImagewrightError
from imagewright.oci import Descriptor, Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Client, Credential, Keychain, RemoteImage, Settings, fetch_image
from support.fake_registry import FakeRegistry, fake_registry, make_image
from support.loopback import LoopbackServer, Request, Response, loopback_server
from support.token_server import TokenServer, token_server

__all__ = ["AMD64", "NAME", "PASSWORD", "USER", "Outcome", "World", "attempt", "pull", "read_blob", "settings", "world"]

USER = "alice"
PASSWORD = "open-sesame-4711"  # noqa: S105 - of a registry that lives as long as a test
NAME = "team/app"
AMD64 = Platform(os="linux", architecture="amd64")

# All that is bounded is bounded well below these, also on a machine that is busy with other things.
_SECONDS = 15
_THREADS = 8


def settings(**changed: object) -> Settings:
    """Return settings without a look at this machine, that do not wait long."""
    quick: Mapping[str, object] = {
        "certificates": "/nonexistent",
        "environment": {},
        "connect_timeout": 2.0,
        "idle_timeout": 0.4,
    }
    return Settings(**{**quick, **changed})  # type: ignore[arg-type]


@dataclass
class World:
    """What a test plays with; `elsewhere` is a host that must not learn a secret, and does `elsewhere_answer`."""

    registry: FakeRegistry
    tokens: TokenServer
    elsewhere: LoopbackServer
    layers: tuple[bytes, ...]
    digest: str
    settings: Settings = field(default_factory=settings)
    slept: list[float] = field(default_factory=list)
    elsewhere_answer: Callable[[Request], Response] = lambda _request: Response(404)

    @property
    def reference(self) -> Reference:
        """The image, by its tag."""
        return Reference.parse(f"{self.registry.host}/{NAME}:1")

    @property
    def pinned(self) -> Reference:
        """The image, by its digest."""
        return Reference.parse(f"{self.registry.host}/{NAME}@{self.digest}")

    @property
    def requests(self) -> int:
        """How many requests all servers have seen."""
        return sum(len(server.requests) for server in (self.registry.server, self.tokens.server, self.elsewhere))

    @property
    def blobs(self) -> dict[str, bytes]:
        """The blobs of the image's repository."""
        return self.registry.repository(NAME).blobs

    @property
    def blob(self) -> str:
        """The digest of the image's first layer, as the registry has it."""
        return next(iter(self.blobs))

    def keychain(self, registry: str) -> Credential | None:
        """Know `USER` at the registry, and nobody anywhere else."""
        return Credential(USER, PASSWORD) if registry == self.registry.host else None

    def client(self, changed: Settings | None = None, keychain: Keychain | None = None) -> Client:
        """Return a client that notes in `slept` what it would wait for."""
        return Client(changed or self.settings, keychain or self.keychain, sleep=self.slept.append)

    def secrets(self) -> set[str]:
        """Return every text that is nobody's business: the password as such and encoded, all tokens that were given."""
        encoded = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return {PASSWORD, encoded, *self.tokens.granted, *self.tokens.refresh_tokens}

    def check_secrets(self) -> None:
        """Check that only the token server saw the password, and nobody but the registry a token."""
        password = {PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
        assert not _leaks(self.elsewhere, self.secrets())
        assert not _leaks(self.registry.server, password if self.registry.tokens else set())
        assert not _leaks(self.tokens.server, set(self.tokens.granted))


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: with `error`, or with `value`; and what it took."""

    value: object
    error: ImagewrightError | None
    seconds: float
    requests: int


@dataclass(frozen=True)
class _Later:
    """Answers as a world does that is still to be made."""

    made: list[World]

    def __call__(self, request: Request) -> Response:
        return self.made[0].elsewhere_answer(request)


@contextlib.contextmanager
def world(*, sizes: tuple[int, ...] = (3000, 5000), **registry: object) -> Iterator[World]:
    """Run the three servers until the block ends; the registry holds the image `NAME:1` of layers of `sizes` bytes."""
    layers = tuple(random.Random(size).randbytes(size) for size in sizes)  # noqa: S311 - the same in each run
    made: list[World] = []
    with contextlib.ExitStack() as stack:
        elsewhere = stack.enter_context(loopback_server(_Later(made)))
        tokens = stack.enter_context(token_server(TokenServer({USER: PASSWORD})))
        fake = stack.enter_context(fake_registry(FakeRegistry(**{"tokens": tokens, **registry})))  # type: ignore[arg-type]
        made.append(World(fake, tokens, elsewhere, layers, make_image(fake, NAME, "1", *layers)))
        before = set(threading.enumerate())
        yield made[0]
        made[0].check_secrets()
        assert len(set(threading.enumerate()) - before) <= _THREADS


def pull(
    client: Client, reference: Reference, cancellation: Cancellation | None = None
) -> tuple[RemoteImage, list[bytes]]:
    """Return the image and the bytes of its layers as they come, as a puller would read them."""
    image = fetch_image(client, reference, AMD64, cancellation=cancellation)
    layers = [read_blob(client, reference, layer, cancellation) for layer in image.layers]
    return image, layers


def read_blob(
    client: Client, reference: Reference, descriptor: Descriptor, cancellation: Cancellation | None = None
) -> bytes:
    """Return all bytes of a blob; they are as promised, or the client has failed in its first duty."""
    pieces = []
    with contextlib.closing(client.open_blob(reference, descriptor, cancellation=cancellation)) as reader:
        while piece := reader.read(1 << 16):
            pieces.append(piece)
    data = b"".join(pieces)
    assert len(data) == descriptor.size
    assert Digest.of(data) == descriptor.address
    return data


def attempt(place: World, action: Callable[[], object], *, requests: int = 60) -> Outcome:
    """Do `action`; check that it ends soon, after at most `requests`; an error is ours and keeps secrets."""
    start, before = time.monotonic(), place.requests
    value, error = None, None
    try:
        value = action()
    except ImagewrightError as raised:
        error = raised
        told = f"{error} {error!r} {error.__cause__!r} {error.__context__!r}"
        assert str(error)
        assert len(str(error)) < 2000, str(error)[:200]
        assert not [secret for secret in place.secrets() if secret in told], told
    outcome = Outcome(value, error, time.monotonic() - start, place.requests - before)
    assert outcome.seconds < _SECONDS
    assert outcome.requests <= requests, (place.registry.server.asked, place.tokens.server.asked)
    assert sum(place.slept) < 120, place.slept
    return outcome


def _leaks(server: LoopbackServer, secrets: set[str]) -> list[str]:
    """Return what of `secrets` the server was told, anywhere in a request."""
    told = "\n".join(f"{request.target} {dict(request.headers)} {request.body.seen!r}" for request in server.requests)
    return [secret for secret in secrets if secret in told]
