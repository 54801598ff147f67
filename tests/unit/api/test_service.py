import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from imagewright.api.service import Call, Gate, Jobs
from imagewright.errors import Cancelled, Unavailable


class Client:
    """The part of a call that the gate uses."""

    def __init__(self) -> None:
        self.leave: Callable[[], None] = lambda: None

    @contextlib.contextmanager
    def on_gone(self, callback: Callable[[], None]) -> Iterator[None]:
        self.leave = callback
        yield


async def build(gate: Gate, client: Client, go: asyncio.Event, log: list[str], name: str) -> None:
    async with gate.passing(cast("Call", client)):
        log.append(name)
        await go.wait()


def test_builds_wait_for_their_turn() -> None:
    async def main() -> None:
        gate, go, log = Gate(running=1, queued=1), asyncio.Event(), list[str]()
        first = asyncio.create_task(build(gate, Client(), go, log, "first"))
        await asyncio.sleep(0)
        second = asyncio.create_task(build(gate, Client(), go, log, "second"))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable, match="too many builds"):
            await build(gate, Client(), go, log, "third")
        assert log == ["first"]
        go.set()
        await asyncio.gather(first, second)
        assert log == ["first", "second"]
        await build(gate, Client(), go, log, "fourth")

    asyncio.run(main())


def test_a_client_that_leaves_gives_up_its_turn() -> None:
    async def main() -> None:
        gate, go, log = Gate(running=1, queued=1), asyncio.Event(), list[str]()
        first = asyncio.create_task(build(gate, Client(), go, log, "first"))
        await asyncio.sleep(0)
        leaving = Client()
        second = asyncio.create_task(build(gate, leaving, go, log, "second"))
        await asyncio.sleep(0)
        leaving.leave()
        with pytest.raises(Cancelled):
            await second
        third = asyncio.create_task(build(gate, Client(), go, log, "third"))
        await asyncio.sleep(0)
        third.cancel()
        with pytest.raises(asyncio.CancelledError):
            await third
        go.set()
        await first
        await build(gate, Client(), go, log, "fourth")
        assert log == ["first", "fourth"]

    asyncio.run(main())


def test_jobs_are_stopped_together_and_none_starts_later() -> None:
    jobs, stopped = Jobs(), list[str]()
    with jobs.running(lambda: stopped.append("over")):
        pass
    with jobs.running(lambda: stopped.append("running")):
        jobs.close()
    assert stopped == ["running"]
    with pytest.raises(Unavailable, match="shutting down"), jobs.running(lambda: None):
        pass
