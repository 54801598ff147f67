"""`POST /build`."""

import contextlib
import threading
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO

from aiohttp import web

from imagewright.api import wire
from imagewright.api.build_parameters import BuildOptions, parse_build
from imagewright.api.errors import message_of
from imagewright.api.messages import Messages, line
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.errors import Cancelled, RunFailed
from imagewright.events import Event
from imagewright.oci import Platform
from imagewright.registry import parse_config_header

__all__ = ["build", "last_words"]

_AUX_SINCE = (1, 30)
_LOG_IN_MEMORY = 1 << 20


async def build(call: Call) -> web.StreamResponse:
    """Build an image from the request's body, and tell about it while it is done."""
    machine = Platform("linux", call.service.facts.architecture)
    credentials = parse_config_header(call.request.headers.get("X-Registry-Config", ""))
    options = parse_build(call.query, call.version, machine, credentials)
    work = _checked if options.check_only else _quiet if options.quiet else _loud
    async with call.service.gate.passing(call):
        return await stream(
            call,
            lambda job: work(call, options, job),
            content_type="application/json",
            last_words=last_words,
        )


def last_words(error: Exception) -> Iterator[bytes]:
    """Yield the messages that end the stream of a build that failed."""
    if isinstance(error, Cancelled):
        yield line(wire.stream_message(f"{error}\n"))
    code = error.exit_code if isinstance(error, RunFailed) else None
    yield line(wire.error_message(message_of(error), code))


def _loud(call: Call, options: BuildOptions, job: Job) -> None:
    messages = Messages(aux=call.version.at_least(*_AUX_SINCE))
    turn = threading.Lock()

    def report(event: Event) -> None:
        with turn:
            for message in messages.render(event):
                job.answer.write(message)

    call.engine.build(job.body, options.request, report=report, cancellation=job.cancellation)


def _checked(call: Call, options: BuildOptions, job: Job) -> None:
    """Tell what the build checks find, and how much that is."""
    messages = Messages(aux=False)

    def report(event: Event) -> None:
        for message in messages.render(event):
            job.answer.write(message)

    findings = call.engine.check(job.body, options.request, report=report, cancellation=job.cancellation)
    count = f"{len(findings)} warning{'s' * (len(findings) != 1)}" if findings else "no warnings"
    job.answer.write(line(wire.stream_message(f"Check complete: {count}\n")))


def _quiet(call: Call, options: BuildOptions, job: Job) -> None:
    """Tell nothing but the image's id, unless the build fails: then everything."""
    messages = Messages(aux=False)
    turn = threading.Lock()
    with SpooledTemporaryFile(_LOG_IN_MEMORY) as log:

        def report(event: Event) -> None:
            with turn:
                log.writelines(messages.render(event))

        try:
            image = call.engine.build(job.body, options.request, report=report, cancellation=job.cancellation)
        except Exception:
            with contextlib.suppress(Cancelled):
                _replay(log, job)
            raise
    job.answer.write(line(wire.stream_message(f"{image}\n")))


def _replay(log: IO[bytes], job: Job) -> None:
    log.seek(0)
    for message in log:
        job.answer.write(message)
