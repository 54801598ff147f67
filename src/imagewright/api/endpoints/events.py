"""`GET /events`."""

import time

from aiohttp import web

from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.api.event_filters import EventSelection
from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.api.times import parse_event_time
from imagewright.errors import InvalidInput

__all__ = ["events"]


async def events(call: Call) -> web.StreamResponse:
    """Tell what happened, and then what happens, until the time that is asked for or until the client leaves."""
    now_ns = time.time_ns()
    since, until = call.query.get("since"), call.query.get("until")
    since_ns, until_ns = parse_event_time(since, now_ns), parse_event_time(until, now_ns)
    if until_ns is not None:
        # With an end alone, everything before it is asked for.
        since_ns = since_ns or 0
        if until_ns < since_ns:
            raise InvalidInput(f"`since` time ({since}) cannot be after `until` time ({until})")
    selection = EventSelection(call.query.get("filters"))

    def work(job: Job) -> None:
        happenings = call.engine.watch(since_ns=since_ns, until_ns=until_ns, cancellation=job.cancellation)
        # From here on nothing is missed, and a client that gets the headers can count on that.
        job.answer.write(b"")
        for happening in happenings:
            if selection.admits(happening):
                job.answer.write(encode(wire.event_message(happening), html=True) + b"\n")

    async with call.service.watchers.passing(call):
        return await stream(call, work, content_type="application/json", last_words=lambda _: ())
