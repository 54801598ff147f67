import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from imagewright.api.pipes import Inlet, Outlet
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, InvalidInput


def run(main: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await main()

    asyncio.run(bounded())


def test_a_thread_reads_what_the_loop_feeds() -> None:
    async def main() -> None:
        inlet = Inlet(capacity=10)
        read = asyncio.create_task(asyncio.to_thread(lambda: list(iter(lambda: inlet.read(3), b""))))
        for piece in (b"abcd", b"e", b"x" * 25):
            await inlet.feed(piece)
        inlet.finish()
        pieces = await read
        assert b"".join(pieces) == b"abcde" + b"x" * 25
        assert max(map(len, pieces)) == 3
        assert inlet.read(1) == b""

    run(main)


def test_feeding_waits_for_the_reader() -> None:
    async def main() -> None:
        inlet = Inlet(capacity=4)
        await inlet.feed(b"abc")
        full = asyncio.create_task(inlet.feed(b"def"))
        await asyncio.sleep(0.01)
        assert not full.done()
        assert await asyncio.to_thread(inlet.read, 100) == b"abc"
        await asyncio.sleep(0.01)
        assert not full.done()
        assert await asyncio.to_thread(inlet.read, 2) == b"de"
        await full

    run(main)


def test_a_failure_wakes_both_sides() -> None:
    async def main() -> None:
        inlet = Inlet(capacity=1)
        blocked = asyncio.create_task(asyncio.to_thread(inlet.read, 1))
        await asyncio.sleep(0.01)
        inlet.fail(InvalidInput("first"))
        inlet.fail(InvalidInput("second"))
        with pytest.raises(InvalidInput, match="first"):
            await blocked
        await inlet.feed(b"dropped")
        with pytest.raises(InvalidInput, match="first"):
            inlet.read(1)

        full = Inlet(capacity=1)
        feeding = asyncio.create_task(full.feed(b"abc"))
        await asyncio.sleep(0)
        full.fail(InvalidInput("x"))
        await feeding

    run(main)


def test_the_loop_takes_what_threads_write() -> None:
    async def main() -> None:
        outlet = Outlet(Cancellation("Save"))

        def work() -> None:
            outlet.write(b"a")
            outlet.write(b"b")
            outlet.close()
            outlet.close()

        await asyncio.to_thread(work)
        assert await outlet.take() == [b"a", b"b"]
        assert await outlet.take() == []

    run(main)


def test_taking_waits_for_a_writer() -> None:
    async def main() -> None:
        outlet = Outlet(Cancellation("Save"))
        take = asyncio.create_task(outlet.take())
        await asyncio.sleep(0.01)
        assert not take.done()
        await asyncio.to_thread(outlet.write, b"a")
        assert await take == [b"a"]
        take = asyncio.create_task(outlet.take())
        await asyncio.sleep(0)
        outlet.close()
        assert await take == []

    run(main)


def test_a_writer_waits_for_room() -> None:
    async def main() -> None:
        outlet = Outlet(Cancellation("Save"), capacity=2)
        outlet.write(b"abc")
        written = asyncio.create_task(asyncio.to_thread(outlet.write, b"d"))
        await asyncio.sleep(0.01)
        assert not written.done()
        assert await outlet.take() == [b"abc"]
        await written
        assert await outlet.take() == [b"d"]

    run(main)


@pytest.mark.parametrize("stop", [Outlet.hurry, Outlet.abandon])
def test_a_writer_that_waits_can_be_stopped(stop: Callable[[Outlet], None]) -> None:
    async def main() -> None:
        outlet = Outlet(Cancellation("Save"), capacity=1)
        outlet.write(b"a")
        started = threading.Event()

        def work() -> None:
            started.set()
            outlet.write(b"b")

        blocked = asyncio.create_task(asyncio.to_thread(work))
        await asyncio.to_thread(started.wait)
        stop(outlet)
        with pytest.raises(Cancelled, match=r"^Save cancelled$"):
            await blocked

    run(main)


def test_in_a_hurry_there_is_still_a_way_while_there_is_room() -> None:
    async def main() -> None:
        outlet = Outlet(Cancellation("Save"), capacity=2)
        outlet.hurry()
        outlet.write(b"ab")
        with pytest.raises(Cancelled):
            outlet.write(b"c")
        assert await outlet.take() == [b"ab"]
        outlet.write(b"c")
        outlet.abandon()
        with pytest.raises(Cancelled):
            outlet.write(b"d")

    run(main)
