"""The one way from the event loop into synchronous code."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

__all__ = ["Threads"]

_P = ParamSpec("_P")
_T = TypeVar("_T")

# Threads are made when needed and kept; jobs that wait for a slow client hold one each, so there may be many.
_LIMIT = 512


class Threads:
    """Runs blocking functions in threads of its own; `close` waits for those that still run."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=_LIMIT, thread_name_prefix="api")
        self._background: set[asyncio.Future[object]] = set()

    async def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return what `function` returns, or raise what it raises; cancelling the task leaves the function running."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: function(*args, **kwargs))

    def start(self, function: Callable[[], None]) -> None:
        """Have `function` run soon, and wait for it only in `close`; it must not raise."""
        future: asyncio.Future[object] = asyncio.get_running_loop().run_in_executor(self._executor, function)
        self._background.add(future)
        future.add_done_callback(self._background.discard)

    async def close(self) -> None:
        """Wait for everything that runs, and end the threads."""
        await asyncio.to_thread(self._executor.shutdown)
