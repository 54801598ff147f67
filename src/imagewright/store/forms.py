"""The forms of a layer that are derived when somebody needs them: its tar, its directory, the tree of a stack."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO, Self

from imagewright.archive import CHUNK, Writable, write_layer
from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt
from imagewright.filesystem import EMPTY, Layer, Tree, apply
from imagewright.oci import Digest, chain_id
from imagewright.store.disk import translated
from imagewright.store.layers import Layers
from imagewright.store.layout import Layout
from imagewright.store.memory import Recent

__all__ = ["Directories", "TarReader", "Trees", "open_tar", "write_tar"]

_PIECE = 256 << 10
_REMEMBERED_CHANGES = 200_000
# How often whoever waits for another looks whether it is still wanted.
_LOOK_SECONDS = 0.2

Unpack = Callable[[Layer, str, Tree], None]


class TarReader:
    """The uncompressed tar of a layer, checked as it is read: `read` raises `Corrupt` at its end if it is another.

    For one thread; to be closed, which a `with` does.
    """

    def __init__(self, file: BinaryIO, diff_id: Digest, join: Callable[[], None]) -> None:
        self._file = file
        self._diff_id = diff_id
        self._join = join
        self._hash = hashlib.sha256()

    def read(self, n: int, /) -> bytes:
        """Return at least one and at most `n` bytes, or `b""` at the end."""
        with translated("cannot read a layer"):
            data = self._file.read(n)
        if data:
            self._hash.update(data)
        elif n:
            self._join()
            _check(self._diff_id, Digest(self._hash.hexdigest()))
        return data

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()


def open_tar(layers: Layers, layout: Layout, diff_id: Digest) -> TarReader:
    """Return the layer's tar as it is kept, or composed again from its directory; raise `NotFound`."""
    if layers.facts(diff_id).form == "tar":
        with translated("cannot read a layer"):
            return TarReader(open(layout.blob(diff_id), "rb"), diff_id, lambda: None)
    layer = layers.get(diff_id)
    with translated("cannot read a layer"):
        reading, writing = os.pipe2(os.O_CLOEXEC)
    failures: list[BaseException] = []

    def compose() -> None:
        try:
            with open(writing, "wb", buffering=CHUNK) as out:
                write_layer(layer, out)
        except BrokenPipeError:
            pass  # The reader has had enough.
        except BaseException as error:  # noqa: BLE001 - the reader raises it in its own thread
            failures.append(error)

    thread = threading.Thread(target=compose, name=f"compose-{diff_id.short}", daemon=True)
    thread.start()

    def join() -> None:
        thread.join()
        for failure in failures:
            raise failure

    return TarReader(open(reading, "rb"), diff_id, join)


def write_tar(layers: Layers, layout: Layout, diff_id: Digest, out: Writable) -> None:
    """Write the layer's tar to `out`; raise `NotFound`, or `Corrupt` when all is written and it is another."""
    if layers.facts(diff_id).form == "directory":
        _check(diff_id, write_layer(layers.get(diff_id), out))
        return
    with open_tar(layers, layout, diff_id) as tar:
        while data := tar.read(_PIECE):
            out.write(data)


def _check(wanted: Digest, found: Digest) -> None:
    if found != wanted:
        raise Corrupt(f"layer {wanted} has the digest {found}")


class Trees:
    """Stacks of layers folded into trees, the recent ones remembered. Thread-safe."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._trees: Recent[tuple[Digest, ...], Tree] = Recent(_REMEMBERED_CHANGES)

    def get(self, diff_ids: Sequence[Digest]) -> Tree:
        """Return the tree of `diff_ids`, lowest first; raise `NotFound` if a layer is not here."""
        stack = tuple(diff_ids)
        tree, folded = EMPTY, 0
        for count in range(len(stack), 0, -1):
            found = self._trees.find(stack[:count])
            if found is not None:
                tree, folded = found, count
                break
        for count in range(folded + 1, len(stack) + 1):
            layer = self._layers.get(stack[count - 1])
            tree = apply(tree, layer)
            # Trees share what they have in common, so that a tree weighs what its last layer changed.
            self._trees.put(stack[:count], tree, len(layer.changes) + 1)
        return tree

    def discard(self, diff_ids: Iterable[Digest]) -> None:
        """Forget the trees of stacks with any of `diff_ids`: their contents are where they were no longer."""
        gone = set(diff_ids)
        self._trees.drop_where(lambda stack: not gone.isdisjoint(stack))


@contextmanager
def _held(lock: threading.Lock, cancellation: Cancellation | None) -> Iterator[None]:
    """Hold `lock`; raise `Cancelled` soon after that is wanted while it waits."""
    while not lock.acquire(timeout=_LOOK_SECONDS):
        if cancellation is not None:
            cancellation.check()
    try:
        yield
    finally:
        lock.release()


class Directories:
    """The directory forms of layers, for mounting. Thread-safe."""

    def __init__(self, layout: Layout, layers: Layers, trees: Trees) -> None:
        self._layout = layout
        self._layers = layers
        self._trees = trees
        self._lock = threading.Lock()
        self._making: dict[str, threading.Lock] = {}

    def get(
        self, diff_id: Digest, below: Sequence[Digest], unpack: Unpack, cancellation: Cancellation | None = None
    ) -> str:
        """Return the path of the layer's directory form, made with `unpack` if there is none yet.

        A layer that does not bring its parent directories takes their metadata from the layers `below`, and has a
        directory for each such stack. A captured directory serves on the stack that it was captured on: it may hold
        copies of what is below, and hide all of a directory where the layer names what is gone. Nothing in it may ever
        be changed. Raises `NotFound`, and `Cancelled` while it waits for another who makes the same.
        """
        facts = self._layers.facts(diff_id)
        if facts.form == "directory" and facts.below == chain_id(below):
            return self._layout.captured(diff_id)
        path = self._layout.unpacked(diff_id, None if facts.complete else chain_id(below))
        with self._lock:
            making = self._making.setdefault(path, threading.Lock())
        try:
            with _held(making, cancellation):
                if not os.path.isdir(path):
                    self._make(path, self._layers.get(diff_id), self._trees.get(below), unpack)
        finally:
            with self._lock:
                self._making.pop(path, None)
        return path

    def _make(self, path: str, layer: Layer, parent: Tree, unpack: Unpack) -> None:
        with self._layout.scratch() as scratch, translated("cannot unpack a layer"):
            os.mkdir(f"{scratch}/fs", 0o755)
            unpack(layer, f"{scratch}/fs", parent)
            # Not synced: it can be derived again, and is removed when the machine was started since (`recovery`).
            try:
                os.rename(f"{scratch}/fs", path)
            except OSError:
                if not os.path.isdir(path):
                    raise
