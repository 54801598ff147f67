"""Contexts that were sent before: known again while they come, so that nobody need look into them.

What is kept of a context is small: the digests of its blocks, its Dockerfile, and what COPY steps took from it. No file
of it is kept, so a step that is not in the cache reads the context after all.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from imagewright.oci import Digest
from imagewright.plan import CopyFiles

__all__ = ["KnownContext", "KnownContexts", "Recording", "Taken"]

_BLOCK = 1 << 20
_MOST_BLOCKS = 1024
_MOST_CONTEXTS = 32
_MOST_TAKEN = 256
_MOST_DOCKERFILE = 64 << 10


@dataclass(frozen=True, slots=True)
class Taken:
    """What a COPY takes from a context: the digest of it, and what the history calls it."""

    digest: Digest
    label: str


@dataclass(frozen=True, slots=True)
class KnownContext:
    """A context: `blocks` are the digests of all that was sent, `asked` is the Dockerfile that the client named.

    Thread-safe.
    """

    blocks: tuple[bytes, ...]
    asked: str
    dockerfile: bytes
    name: str
    _taken: dict[tuple[tuple[str, str], ...], Taken] = field(default_factory=dict)

    def begins_with(self, blocks: Sequence[bytes]) -> bool:
        """Whether it begins with the whole `blocks`, all but the last of which were compared before."""
        return not blocks or (len(self.blocks) > len(blocks) and self.blocks[len(blocks) - 1] == blocks[-1])

    def find(self, op: CopyFiles) -> Taken | None:
        """Return what `op` takes, if a build has looked before."""
        return self._taken.get(_key(op))

    def remember(self, op: CopyFiles, taken: Taken) -> None:
        """Keep what `op` takes; of very many such only the first."""
        if len(self._taken) < _MOST_TAKEN:
            self._taken[_key(op)] = taken


def _key(op: CopyFiles) -> tuple[tuple[str, str], ...]:
    return tuple(op.canonical().items())


class Recording:
    """The digests of the blocks of what is fed, in order, for as long as it is not too much to be worth it."""

    def __init__(self) -> None:
        self.blocks: list[bytes] = []
        self._hash = hashlib.sha256()
        self._room = _BLOCK

    def feed(self, piece: bytes) -> None:
        """Take in the next piece."""
        if len(self.blocks) > _MOST_BLOCKS:
            return
        view = memoryview(piece)
        while len(view) >= self._room:
            self._hash.update(view[: self._room])
            view = view[self._room :]
            self._close()
        self._hash.update(view)
        self._room -= len(view)

    def finish(self) -> tuple[bytes, ...] | None:
        """Return the digests of all blocks, the last of which is not whole; None if it is too much."""
        # There is always a last one, perhaps of nothing, so that no context is the beginning of another.
        self._close()
        return tuple(self.blocks) if len(self.blocks) <= _MOST_BLOCKS else None

    def _close(self) -> None:
        self.blocks.append(self._hash.digest())
        self._hash = hashlib.sha256()
        self._room = _BLOCK


class KnownContexts:
    """The contexts of the last builds. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, bytes], KnownContext] = OrderedDict()

    def candidates(self, asked: str) -> list[KnownContext]:
        """Return those from which the Dockerfile `asked` was asked for."""
        with self._lock:
            return [known for known in self._known.values() if known.asked == asked]

    def add(self, known: KnownContext) -> KnownContext:
        """Keep `known`, and return what there is of the same context already; one of the oldest may go for it."""
        if len(known.dockerfile) > _MOST_DOCKERFILE:
            return known
        key = known.asked, b"".join(known.blocks)
        with self._lock:
            known = self._known.setdefault(key, known)
            self._known.move_to_end(key)
            if len(self._known) > _MOST_CONTEXTS:
                self._known.popitem(last=False)
            return known
