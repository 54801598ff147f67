"""`POST /build`."""

import contextlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import IO

from aiohttp import web

from imagewright.api import wire
from imagewright.api.answers import empty_answer
from imagewright.api.build_parameters import BuildOptions, parse_build
from imagewright.api.build_secrets import SECRETS_HEADER, parse_secrets
from imagewright.api.errors import message_of
from imagewright.api.messages import Messages, line
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.errors import Cancelled, InvalidInput, RunFailed
from imagewright.events import Event, Output, StepStarted
from imagewright.oci import Platform
from imagewright.registry import parse_config_header

__all__ = ["build", "cancel", "last_words"]

_AUX_SINCE = (1, 30)
_LOG_IN_MEMORY = 1 << 20
# How much of what a RUN wrote an error has, in bytes.
_TAIL = 4096


async def build(call: Call) -> web.StreamResponse:
    """Build an image from the request's body, and tell about it while it is done."""
    machine = Platform("linux", call.service.facts.architecture)
    credentials = parse_config_header(call.request.headers.get("X-Registry-Config", ""))
    options = parse_build(call.query, call.version, machine, credentials, experimental=call.service.experimental)
    secrets = parse_secrets(call.request.headers.getall(SECRETS_HEADER, []))
    options = replace(options, request=replace(options.request, secrets=secrets, agents=call.service.agents))
    async with call.service.gate.passing(call):
        if options.files and not options.check_only:
            # What goes wrong is told instead of the files, or cuts them off.
            return await stream(
                call, lambda job: _files(call, options, job), content_type="application/x-tar", last_words=None
            )
        work = _checked if options.check_only else _quiet if options.quiet else _loud
        return await stream(
            call,
            lambda job: work(call, options, job),
            content_type="application/json",
            last_words=last_words,
        )


async def cancel(call: Call) -> web.Response:
    """Cancel the builds that were begun with the parameter `buildid`; as with the engine, there need be none."""
    identity = call.query.get("id")
    if not identity:
        raise InvalidInput("build ID not provided")
    call.service.jobs.cancel(identity)
    return empty_answer(200)


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


def _files(call: Call, options: BuildOptions, job: Job) -> None:
    """Write the image's files; the error of a RUN has the end of what it wrote, but for its secrets."""
    secrets = options.request.secrets.values()
    longest = max(map(len, secrets), default=0)
    tail = b""

    def report(event: Event) -> None:
        nonlocal tail
        if isinstance(event, StepStarted):
            tail = b""
        elif isinstance(event, Output):
            tail = (tail + event.data)[-_TAIL - longest :]

    try:
        call.engine.build(job.body, options.request, files=job.answer, report=report, cancellation=job.cancellation)
    except RunFailed as error:
        if not tail:
            raise
        # A secret whose beginning was cut off is not known again.
        cut = longest if len(tail) > _TAIL else 0
        text = _masked(tail, secrets)[cut:].decode(errors="replace").rstrip()
        raise RunFailed(f"{error}; it wrote:\n{text}", exit_code=error.exit_code) from error


def _masked(text: bytes, secrets: Iterable[bytes]) -> bytes:
    """Return `text` without any of `secrets`, which a shell prints without the line break at their end."""
    for secret in sorted({value.strip() for value in secrets} - {b""}, key=len, reverse=True):
        text = text.replace(secret, b"***")
    return text


def _replay(log: IO[bytes], job: Job) -> None:
    log.seek(0)
    for message in log:
        job.answer.write(message)
