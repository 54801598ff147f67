import asyncio
import threading
import time

import pytest

from imagewright.api.threads import Threads


def test_results_and_errors_come_back() -> None:
    def work(a: int, *, b: int) -> tuple[int, bool]:
        return a // b, threading.current_thread() is threading.main_thread()

    async def main() -> None:
        threads = Threads()
        assert await threads.run(work, 4, b=2) == (2, False)
        with pytest.raises(ZeroDivisionError):
            await threads.run(work, 4, b=0)
        await threads.close()

    asyncio.run(main())


def test_closing_waits_for_what_was_started() -> None:
    done: list[int] = []

    def work() -> None:
        time.sleep(0.02)
        done.append(1)

    async def main() -> None:
        threads = Threads()
        threads.start(work)
        await threads.close()
        assert done == [1]

    asyncio.run(main())
