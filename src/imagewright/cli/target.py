"""Who does the work of a command: a running engine, or one in this process."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Protocol

from imagewright.cancellation import Cancellation
from imagewright.cli.client import Client, alive
from imagewright.cli.display import Display, show_event
from imagewright.cli.options import DEFAULT_DATA_ROOT, DEFAULT_SOCKET, unix_socket_path
from imagewright.cli.packing import ContextReader
from imagewright.engine import BuildRequest, Engine, ImageQuery, ImageSummary
from imagewright.oci import Digest

__all__ = ["EmbeddedEngine", "Target", "open_target"]


class Target(Protocol):
    """What the commands need of an engine."""

    def build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display) -> Digest:
        """Build from the pieces of a tar, showing it on `display`, and return the image id."""

    def list_images(self, query: ImageQuery) -> list[ImageSummary]:
        """Return the images that `query` selects."""


class EmbeddedEngine:
    """An engine in this process as a `Target`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display) -> Digest:
        """Build; an interrupt from the keyboard cancels the build, which then raises `Cancelled`."""
        cancellation = Cancellation()
        with _cancelled_by_interrupt(cancellation):
            return self._engine.build(
                ContextReader(chunks),
                request,
                report=lambda event: show_event(display, event),
                cancellation=cancellation,
            )

    def list_images(self, query: ImageQuery) -> list[ImageSummary]:
        """Return the images that `query` selects."""
        return self._engine.list(query)


@contextlib.contextmanager
def open_target(host: str | None, data_root: str | None) -> Iterator[Target]:
    """Choose the engine at `host`, else the one in this process on `data_root`, else whichever is there by default.

    Raises `InvalidInput` for a host that is no unix socket, and what opening an engine raises.
    """
    if host:
        yield Client(unix_socket_path(host))
    elif data_root is None and alive(DEFAULT_SOCKET):
        yield Client(DEFAULT_SOCKET)
    else:
        with Engine(data_root or DEFAULT_DATA_ROOT) as engine:
            yield EmbeddedEngine(engine)


@contextlib.contextmanager
def _cancelled_by_interrupt(cancellation: Cancellation) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def cancel(_number: int, _frame: FrameType | None) -> None:
        # The second interrupt is for those who cannot wait. The handler runs in the middle of the main thread's work,
        # which may hold a lock that cancelling needs: another thread cancels.
        signal.signal(signal.SIGINT, before)
        threading.Thread(target=cancellation.cancel).start()

    signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
