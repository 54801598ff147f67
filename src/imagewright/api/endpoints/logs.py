"""`GET /containers/{id}/logs`."""

import struct
from collections.abc import Iterator

from aiohttp import web

from imagewright.api.service import Call
from imagewright.api.streaming import Job, stream
from imagewright.api.times import parse_log_time
from imagewright.engine import LogLine
from imagewright.errors import InvalidInput
from imagewright.oci import format_time

__all__ = ["logs"]

# Named since 1.42; before, every stream went by the same name.
_RAW = "application/vnd.docker.raw-stream"
_MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_MULTIPLEXED_SINCE = (1, 42)
_HEADER = struct.Struct(">BxxxI")
_CHANNELS = {"stdout": 1, "stderr": 2}
_BATCH = 64 << 10
_SECOND = 1_000_000_000


async def logs(call: Call) -> web.StreamResponse:
    """Send what the process of a container printed; `follow` changes nothing, since all of them have ended."""
    query = call.query
    channels = {channel for channel in _CHANNELS if query.boolean(channel)}
    if not channels:
        raise InvalidInput("Bad parameters: you must choose at least one stream")
    lines = await call.service.threads.run(call.engine.logs, call.name, tail=_tail(query.get("tail")))
    since_ns, until_ns = parse_log_time(query.get("since")), parse_log_time(query.get("until"))
    timestamps, details = query.boolean("timestamps"), query.boolean("details")

    def selected() -> Iterator[LogLine]:
        for line in lines:
            if until_ns is not None and line.time_ns > until_ns:
                return
            if line.channel in channels and (since_ns is None or line.time_ns >= since_ns):
                yield line

    def work(job: Job) -> None:
        # A log without a line is an answer, too.
        job.answer.write(b"")
        batch: list[bytes] = []
        size = 0
        for line in selected():
            batch.append(_frame(line, timestamps=timestamps, details=details))
            size += len(batch[-1])
            if size >= _BATCH:
                job.answer.write(b"".join(batch))
                batch, size = [], 0
        if batch:
            job.answer.write(b"".join(batch))

    content_type = _MULTIPLEXED if call.version.at_least(*_MULTIPLEXED_SINCE) else _RAW
    return await stream(call, work, content_type=content_type, last_words=None)


def _tail(text: str) -> int | None:
    """Return how many of the last lines are wanted, None for all, which is also what no number means."""
    try:
        tail = int(text)
    except ValueError:
        return None
    return tail if tail >= 0 else None


def _frame(line: LogLine, *, timestamps: bool, details: bool) -> bytes:
    """Return the frame of a line; what there could be in details (labels, environment) no container here has."""
    before = f"{_timestamp(line.time_ns)} " if timestamps else ""
    data = before.encode() + (b" " if details else b"") + line.data
    return _HEADER.pack(_CHANNELS[line.channel], len(data)) + data


def _timestamp(time_ns: int) -> str:
    """Return the time with all its digits, so that lines stand below each other."""
    seconds, nanoseconds = divmod(time_ns, _SECOND)
    return f"{format_time(seconds * _SECOND).removesuffix('Z')}.{nanoseconds:09d}Z"
