"""Images in and out: load, save, and import by way of `POST /images/create`."""

import contextlib
import threading
from collections.abc import Iterator

from aiohttp import web

from imagewright.api import wire
from imagewright.api.build_parameters import parse_platform
from imagewright.api.encoding import presentable
from imagewright.api.endpoints.building import last_words
from imagewright.api.endpoints.images import named
from imagewright.api.messages import Messages, line
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.errors import Forbidden, InvalidInput, Unsupported
from imagewright.events import Event, Reporter, ignore
from imagewright.oci import Platform
from imagewright.reference import Reference

__all__ = ["create", "load", "save", "save_one"]

_JSON = "application/json"
_TAR = "application/x-tar"
_PIECE = 64 << 10


async def create(call: Call) -> web.StreamResponse:
    """Import an image from the request's body; pulling one from a registry is the other use of the endpoint."""
    source, image = call.query.get("fromSrc"), call.query.get("fromImage")
    if image:
        raise _refused_pull(image)
    if not source:
        raise InvalidInput("one of the parameters fromImage and fromSrc is needed")
    if source != "-":
        raise Unsupported("importing an image from an address (fromSrc) is not supported yet")
    reference = named(call.query)
    if reference is not None and reference.digest is not None:
        raise InvalidInput("cannot import digest reference")
    machine = Platform("linux", call.service.facts.architecture)
    platform = parse_platform(call.query, call.version, machine)

    def work(job: Job) -> None:
        digest = call.engine.import_(
            job.body,
            reference=reference,
            changes=tuple(map(presentable, call.query.get_all("changes"))),
            message=presentable(call.query.get("message")),
            platform=platform,
            cancellation=job.cancellation,
        )
        job.answer.write(line(wire.status_message(str(digest))))

    return await stream(call, work, content_type=_JSON, last_words=last_words)


def _refused_pull(name: str) -> Exception:
    """Return why the image called `name` is not pulled; raise `InvalidInput` if nothing can be called so."""
    if Reference.parse(name).familiar_name == "scratch":
        return Forbidden("'scratch' is a reserved name")
    return Unsupported("pulling an image from a registry (fromImage) is not supported yet")


async def load(call: Call) -> web.StreamResponse:
    """Take in the images of an archive. As with the engine, every error is told in the stream."""
    if call.version.at_least(1, 48) and call.query.get("platform"):
        raise Unsupported("the parameter platform is not supported yet")
    quiet = call.query.boolean("quiet")

    def work(job: Job) -> None:
        report = ignore if quiet else _reporter(job)
        for loaded in call.engine.load(job.body, report=report, cancellation=job.cancellation):
            text = (
                f"Loaded image: {loaded.familiar}\n"
                if isinstance(loaded, Reference)
                else f"Loaded image ID: {loaded}\n"
            )
            job.answer.write(line(wire.stream_message(text)))

    return await stream(call, work, content_type=_JSON, last_words=last_words, always=True)


def _reporter(job: Job) -> Reporter:
    messages = Messages()
    turn = threading.Lock()

    def report(event: Event) -> None:
        with turn:
            for message in messages.render(event):
                job.answer.write(message)

    return report


async def save(call: Call) -> web.StreamResponse:
    """Hand out an archive of the images that `names` name."""
    return await _save(call, call.query.get_all("names"))


async def save_one(call: Call) -> web.StreamResponse:
    """Hand out an archive of one image, or of all the tags of a repository."""
    return await _save(call, (call.name,))


async def _save(call: Call, names: tuple[str, ...]) -> web.StreamResponse:
    if call.version.at_least(1, 48) and call.query.get("platform"):
        raise Unsupported("the parameter platform is not supported yet")

    def work(job: Job) -> None:
        with _gathered(job) as out:
            call.engine.save(names, out, cancellation=job.cancellation)

    return await stream(call, work, content_type=_TAR, last_words=None)


class _Gathering:
    """Puts small pieces together, so that the headers of a tar are not sent one by one."""

    def __init__(self, job: Job) -> None:
        self._answer = job.answer
        self._pieces: list[bytes] = []
        self._size = 0

    def write(self, data: bytes, /) -> None:
        """Take `data`, and pass on what is gathered if that is enough."""
        self._pieces.append(bytes(data))
        self._size += len(data)
        if self._size >= _PIECE:
            self.flush()

    def flush(self) -> None:
        """Pass on what is gathered."""
        if self._size:
            self._answer.write(b"".join(self._pieces))
        self._pieces, self._size = [], 0


@contextlib.contextmanager
def _gathered(job: Job) -> Iterator[_Gathering]:
    out = _Gathering(job)
    yield out
    out.flush()
