"""Long jobs: a request body that a thread reads, an answer that it writes, and a client that may leave meanwhile."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from aiohttp import StreamReader, web

from imagewright.api.log import log_failure
from imagewright.api.pipes import Inlet, Outlet
from imagewright.api.service import Call
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, InvalidInput, Unavailable

__all__ = ["Job", "stream"]

_IDLE_SECONDS = 60.0
_FAREWELL_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a thread works on: `body` is what the client sends, `answer` what it is sent, piece by piece."""

    body: Inlet
    answer: Outlet
    cancellation: Cancellation


async def stream(
    call: Call,
    work: Callable[[Job], None],
    *,
    content_type: str,
    last_words: Callable[[Exception], Iterable[bytes]] | None,
    always: bool = False,
    doing: str = "Build",
) -> web.StreamResponse:
    """Run `work` in a thread, and send what it writes as the answer to `call`, every piece as a chunk.

    The answer starts with the first piece, even an empty one, so an error before that is raised to the caller, unless
    `always` is set. An error after that is told by the pieces that `last_words` gives; with None, the connection is
    cut, so that the client cannot take what it got for the whole.

    When the client leaves or the daemon shuts down, the job, which is `doing` something, is cancelled at once; this
    returns when it has ended.
    """
    cancellation = Cancellation(doing)
    job = Job(Inlet(), Outlet(cancellation), cancellation)
    response = web.StreamResponse(headers={"Content-Type": content_type})
    farewell: list[asyncio.TimerHandle] = []

    def leave() -> None:
        farewell.extend(_stop(call, job))

    with call.service.jobs.running(leave), call.on_gone(leave):
        pump = asyncio.create_task(_pump(call, job))
        worker = asyncio.create_task(call.service.threads.run(_finish, work, job))
        try:
            try:
                await _relay(call, job.answer, response)
            except ConnectionError:
                leave()
            except asyncio.CancelledError:
                leave()
                raise
            finally:
                # Whatever is still written has nowhere to go.
                job.answer.abandon()
            error = await _outcome(worker)
            if error is None:
                return response
            if isinstance(error, Cancelled) and call.service.jobs.closing:
                error = Unavailable("the daemon is shutting down")
            if not (response.prepared or always):
                raise error
            return await _fail(call, response, error, last_words)
        finally:
            for timer in farewell:
                timer.cancel()
            # aiohttp reads what is left of the body, which two cannot do at a time.
            pump.cancel()
            await asyncio.wait({pump})


def _stop(call: Call, job: Job) -> Iterator[asyncio.TimerHandle]:
    """Stop `job`; yield the timer, if there is one, that ends a connection on which nobody reads."""
    job.body.fail(job.cancellation.error)
    job.answer.hurry()
    # Callbacks of the token may take a while: they kill containers.
    call.service.threads.start(job.cancellation.cancel)
    if call.connection:
        yield asyncio.get_running_loop().call_later(_FAREWELL_SECONDS, call.connection.abort)


def _finish(work: Callable[[Job], None], job: Job) -> None:
    try:
        work(job)
    finally:
        job.answer.close()


async def _outcome(worker: asyncio.Task[None]) -> Exception | None:
    try:
        await worker
    except Exception as error:  # noqa: BLE001 - whatever it is, the client is told of it
        return error
    return None


async def _relay(call: Call, answer: Outlet, response: web.StreamResponse) -> None:
    while pieces := await answer.take():
        if not response.prepared:
            await response.prepare(call.request)
        for piece in pieces:
            await response.write(piece)


async def _fail(
    call: Call,
    response: web.StreamResponse,
    error: Exception,
    last_words: Callable[[Exception], Iterable[bytes]] | None,
) -> web.StreamResponse:
    if last_words is None:
        if call.connection:
            call.connection.abort()
        raise error
    log_failure(error, call.request.method, call.endpoint)
    with contextlib.suppress(ConnectionError):
        if not response.prepared:
            await response.prepare(call.request)
        for piece in last_words(error):
            await response.write(piece)
    return response


async def _pump(call: Call, job: Job) -> None:
    inlet = job.body
    content: StreamReader = call.request.content
    try:
        while True:
            async with asyncio.timeout(_IDLE_SECONDS):
                data = await content.readany()
            if not data:
                inlet.finish()
                return
            await inlet.feed(data)
    except TimeoutError:
        gone = call.connection is not None and call.connection.gone
        inlet.fail(job.cancellation.error if gone else InvalidInput("the request body stopped coming"))
    except Exception:  # noqa: BLE001 - aiohttp has many for a body that is cut or badly framed
        inlet.fail(InvalidInput("unexpected EOF"))
