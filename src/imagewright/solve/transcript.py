"""Events of nodes that run side by side, told one node after the other."""

import io
from collections.abc import Callable
from typing import BinaryIO, Generic, TypeVar

__all__ = ["Transcript"]

Event = TypeVar("Event")


class Transcript(Generic[Event]):
    """Passes the events of many nodes on to `report` in the order of the nodes.

    The lowest node that has not finished is live: its events are passed on as they come. Those of later nodes are held
    back in a file each from `open_file` (give `SpooledTemporaryFile` to bound the memory) until their turn. A node
    that failed is never finished: nothing that comes after it is told. Safe to use from many threads; `report` is
    called by one thread at a time.
    """

    def __init__(self, report: Callable[[Event], None], *, open_file: Callable[[], BinaryIO] = io.BytesIO) -> None:
        raise NotImplementedError

    def reporter(self, index: int) -> Callable[[Event], None]:
        """Return where node `index` (0-based, no gaps) sends its events."""
        raise NotImplementedError

    def finish(self, index: int) -> None:
        """Say that node `index` has no more events; idempotent."""
        raise NotImplementedError

    def close(self) -> None:
        """Throw away what is still held back; idempotent. Later events are passed over."""
        raise NotImplementedError
