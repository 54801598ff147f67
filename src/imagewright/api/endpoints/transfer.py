"""Images in and out: load, save, and import by way of `POST /images/create`."""

import contextlib
import re
from collections.abc import Iterator

from aiohttp import web

from imagewright.api import wire
from imagewright.api.build_parameters import parse_platform
from imagewright.api.encoding import presentable
from imagewright.api.endpoints.building import last_words
from imagewright.api.endpoints.images import named
from imagewright.api.endpoints.registries import pull
from imagewright.api.endpoints.reports import reporter
from imagewright.api.messages import line
from imagewright.api.platforms import check_platform, one_platform
from imagewright.api.progress import bar
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.archive import Readable
from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.remote import open_url

__all__ = ["create", "load", "save", "save_one"]

_JSON = "application/json"
_TAR = "application/x-tar"
_PIECE = 64 << 10
_TELL_EVERY = 1 << 20


async def create(call: Call) -> web.StreamResponse:
    """Import an image from the request's body or from an address, or pull one."""
    source = call.query.get("fromSrc")
    if call.query.get("fromImage"):
        return await pull(call)
    if not source:
        raise InvalidInput("one of the parameters fromImage and fromSrc is needed")
    reference = named(call.query)
    if reference is not None and reference.digest is not None:
        raise InvalidInput("cannot import digest reference")
    machine = Platform("linux", call.service.facts.architecture)
    platform = parse_platform(call.query, call.version, machine)
    message = presentable(call.query.get("message"))

    def take(stream: Readable, message: str, job: Job) -> None:
        digest = call.engine.import_(
            stream,
            reference=reference,
            changes=tuple(map(presentable, call.query.get_all("changes"))),
            message=message,
            platform=platform,
            cancellation=job.cancellation,
        )
        job.answer.write(line(wire.status_message(str(digest))))

    def work(job: Job) -> None:
        if source == "-":
            take(job.body, message, job)
        else:
            with _fetched(presentable(source), job) as stream:
                take(stream, message or f"Imported from {_public(source)}", job)

    return await stream(call, work, content_type=_JSON, last_words=last_words, doing="Import")


@contextlib.contextmanager
def _fetched(source: str, job: Job) -> Iterator[Readable]:
    """Give what is at the address `source`, and tell of it in the words of the engine."""
    address = source if "://" in source else f"http://{source}"
    with open_url(address, job.cancellation) as remote:
        job.answer.write(line(wire.status_message(f"Downloading from {_public(address)}")))
        yield _Counting(remote, remote.size, job)


def _public(address: str) -> str:
    """Return `address` without what may be secret in it: what is said of it is kept in the image."""
    return re.sub(r"(?<=//)[^/?#]*@", "", presentable(address)).partition("?")[0]


class _Counting:
    """Tells now and then how much was read of `stream`, of `total` bytes, None if nobody knows."""

    def __init__(self, stream: Readable, total: int | None, job: Job) -> None:
        self._stream = stream
        self._total = total
        self._answer = job.answer
        self._size = 0
        self._told = 0

    def read(self, n: int, /) -> bytes:
        """Return what the stream gives, at most `n` bytes."""
        data = self._stream.read(n)
        self._size += len(data)
        if self._size != self._told and (not data or self._size - self._told >= _TELL_EVERY):
            self._told = self._size
            text = bar(self._size, self._total)
            message = wire.status_message("Importing", current=self._size, total=self._total, bar=text)
            self._answer.write(line(message))
        return data


async def load(call: Call) -> web.StreamResponse:
    """Take in the images of an archive. As with the engine, every error is told in the stream, and little else."""
    platform = one_platform(call.query) if call.version.at_least(1, 48) else None
    quiet = call.query.boolean("quiet") or "quiet" not in call.query.values

    def work(job: Job) -> None:
        report = reporter(job, quiet=quiet)
        for loaded in call.engine.load(job.body, platform=platform, report=report, cancellation=job.cancellation):
            text = (
                f"Loaded image: {loaded.familiar}\n"
                if isinstance(loaded, Reference)
                else f"Loaded image ID: {loaded}\n"
            )
            job.answer.write(line(wire.stream_message(text)))

    return await stream(call, work, content_type=_JSON, last_words=last_words, always=True, doing="Load")


async def save(call: Call) -> web.StreamResponse:
    """Hand out an archive of the images that `names` name."""
    return await _save(call, call.query.get_all("names"))


async def save_one(call: Call) -> web.StreamResponse:
    """Hand out an archive of one image, or of all the tags of a repository."""
    return await _save(call, (call.name,))


async def _save(call: Call, names: tuple[str, ...]) -> web.StreamResponse:
    platform = one_platform(call.query) if call.version.at_least(1, 48) else None

    def work(job: Job) -> None:
        if platform is not None:
            _check_platforms(call, names, platform)
        with _gathered(job) as out:
            call.engine.save(names, out, cancellation=job.cancellation)

    return await stream(call, work, content_type=_TAR, last_words=None, doing="Save")


def _check_platforms(call: Call, names: tuple[str, ...], platform: Platform) -> None:
    for name in names:
        # What is not found as an image may be a repository, and if it is nothing, saving it fails.
        with contextlib.suppress(InvalidInput):
            try:
                image = call.engine.inspect(name)
            except NotFound:
                continue
            check_platform(image, name, platform)


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
