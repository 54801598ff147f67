"""Layers: adding them, and what is known of them."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Thread
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from imagewright.archive import (
    OWN_TAR,
    Follower,
    Readable,
    Spool,
    decode_index,
    decompress,
    encode_index,
    layer_size,
    read_layer,
    write_layer,
)
from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, NotFound
from imagewright.filesystem import Change, Content, Directory, Extent, File, Layer, Put
from imagewright.oci import Digest, chain_id
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.disk import (
    move,
    remove_tree,
    sync_directory,
    sync_filesystem,
    translated,
    write_file,
    write_whole,
)
from imagewright.store.layout import Layout
from imagewright.store.leases import Leases
from imagewright.store.memory import Recent

__all__ = ["LayerFacts", "Layers", "forget_layer", "load_facts"]

_REMEMBERED_CHANGES = 200_000
# From so many bytes on, the disk is set to work while the digest is computed.
_WORTH_A_THREAD = 8 << 20


@dataclass(frozen=True, slots=True)
class LayerFacts:
    """What the database knows of a layer; sizes in bytes, `size` that of the files' contents.

    `complete` says that it brings the parent directories of all its changes. A directory was captured on the stack with
    the chain_id `below`, None if that was empty.
    """

    form: Literal["tar", "directory"]
    size: int
    tar_size: int
    complete: bool
    below: Digest | None = None


class Layers:
    """The layers on the disk and in the database. Thread-safe.

    Every `add_*` is idempotent and atomic: the bytes are on the disk under their final name before the database knows
    of them. A layer that nobody holds may be removed at any time: add and use layers under a lease.
    """

    def __init__(self, layout: Layout, database: Database, leases: Leases) -> None:
        self._layout = layout
        self._database = database
        self._leases = leases
        self._values: Recent[Digest, Layer | _Unplaced] = Recent(_REMEMBERED_CHANGES)
        with database.read() as connection:
            self._facts = load_facts(connection)

    def has(self, diff_id: Digest) -> bool:
        """Whether the layer is here; every open lease then keeps it."""
        return self._leases.keep(diff_id) and diff_id in self._facts

    def facts(self, diff_id: Digest) -> LayerFacts:
        """Return what is known of the layer; raise `NotFound` if it is not here."""
        found = self._facts.get(diff_id)
        if found is None:
            raise NotFound(f"No such layer: {diff_id}")
        return found

    def get(self, diff_id: Digest) -> Layer:
        """Return the layer as a value, its extents pointing into the store; raise `NotFound` or `Corrupt`."""
        self.facts(diff_id)
        layer = self._values.find(diff_id)
        if layer is None:
            with translated("cannot read a layer's index"), open(self._layout.index(diff_id), "rb") as file:
                data = file.read()
            layer = decode_index(data, lambda name: self._layout.locate(diff_id, name))
            self._remember(diff_id, layer)
        elif isinstance(layer, _Unplaced):
            layer = layer.place(self._layout.blob(diff_id))
            self._remember(diff_id, layer)
        return layer

    def add(self, layer: Layer, cancellation: Cancellation | None = None) -> Digest:
        """Keep `layer` as its canonical tar, and return its diff_id; the extents of `layer` are not needed after."""
        with self._layout.scratch() as scratch, translated("cannot write a layer"):
            offsets: dict[int, int] = {}
            with open(f"{scratch}/tar", "xb", buffering=0) as file:
                # What the disk takes, it takes beside the composing.
                with Follower(lambda data: write_whole(file.fileno(), data)) as writer:
                    out = _Counted(writer.feed, cancellation)
                    diff_id = write_layer(layer, out, place=lambda node, offset: offsets.setdefault(id(node), offset))
                if not self.has(diff_id):
                    os.fsync(file.fileno())
            if not self.has(diff_id):
                facts = LayerFacts("tar", layer_size(layer), out.size, _is_complete(layer))
                self._register(diff_id, encode_index(layer, offsets), facts, scratch)
                self._remember(diff_id, _Unplaced(layer, offsets))
        return diff_id

    def add_directory(
        self, layer: Layer, directory: str, below: Sequence[Digest], cancellation: Cancellation | None = None
    ) -> Digest:
        """Take over `directory`, captured as `layer` on the layers `below`; return the diff_id, of the canonical tar.

        The directory has all the contents of `layer`. It is moved, and is gone if the layer was known already.
        """
        out = _Counted(_drop, cancellation)
        size = layer_size(layer)
        with _written_back(directory) if size >= _WORTH_A_THREAD else nullcontext():
            diff_id = write_layer(layer, out)
        if self.has(diff_id):
            with translated("cannot remove a directory"):
                self._layout.trash.throw(directory)
            return diff_id
        with self._layout.scratch() as scratch, translated("cannot keep a layer"):
            os.mkdir(f"{scratch}/layer", 0o700)
            os.rename(directory, f"{scratch}/layer/fs")
            facts = LayerFacts("directory", size, out.size, _is_complete(layer), chain_id(below))
            index = encode_index(layer, lambda path: f"fs/{_below(path, directory)}")
            self._register(diff_id, index, facts, scratch)
        return diff_id

    def add_stream(self, stream: Readable, diff_id: Digest | None) -> Digest:
        """Keep the tar that `stream` has, compressed or not, byte for byte as it is uncompressed; return its digest.

        Raises `Corrupt` if that is not `diff_id`, and `InvalidInput` if it is no layer. The stream is left unread
        where `diff_id` is here already.
        """
        if diff_id is not None and self.has(diff_id):
            return diff_id
        with self._layout.scratch() as scratch, translated("cannot keep a layer"):
            with Spool(f"{scratch}/tar", keeping="a layer") as spool:
                layer, found = read_layer(decompress(stream), spool)
                if diff_id is not None and found != diff_id:
                    raise Corrupt(f"layer {diff_id} has the digest {found}")
                spool.sync()
                facts = LayerFacts("tar", layer_size(layer), spool.size, _is_complete(layer))
                names = {spool.path: OWN_TAR, spool.sparse_path: "sparse"}
                if spool.sparse:
                    os.mkdir(f"{scratch}/layer", 0o700)
                    os.rename(spool.sparse_path, f"{scratch}/layer/sparse")
            self._register(found, encode_index(layer, names.__getitem__), facts, scratch)
        return found

    def remove(self, diff_ids: Iterable[Digest], connection: Connection) -> list[Digest]:
        """Have the database forget those of `diff_ids` that no lease keeps, and what was recorded with them.

        They must go from the disk with `discard` once `connection` has committed, or be acquitted if it does not.
        """
        condemned = self._leases.condemn(diff_id for diff_id in diff_ids if diff_id in self._facts)
        for diff_id in condemned:
            forget_layer(connection, diff_id)
        return condemned

    def acquit(self, condemned: Iterable[Digest]) -> None:
        """Undo `remove`: the transaction has failed."""
        self._leases.acquit(condemned)

    def discard(self, condemned: Iterable[Digest], trash: str) -> None:
        """Move what the database has forgotten into the directory `trash`; the caller keeps others from writing."""
        condemned = list(condemned)
        for diff_id in condemned:
            self._facts.pop(diff_id, None)
            self._values.drop(diff_id)
        try:
            for diff_id in condemned:
                for path, name in ((self._layout.layer(diff_id), "layer"), (self._layout.blob(diff_id), "blob")):
                    if os.path.lexists(path):
                        os.rename(path, f"{trash}/{name}-{diff_id.encoded}")
        finally:
            self._leases.acquit(condemned)

    def _register(self, diff_id: Digest, index: bytes, facts: LayerFacts, scratch: str) -> None:
        """Move `scratch`/tar and `scratch`/layer to their places, with `index` in the latter, and tell the database."""
        directory = f"{scratch}/layer"
        os.makedirs(directory, 0o700, exist_ok=True)
        write_file(f"{directory}/index", index)
        if facts.form == "directory":
            sync_filesystem(directory)
        sync_directory(directory)
        with self._database.exclusive():
            if diff_id not in self._facts:
                self._put_in_place(diff_id, facts, scratch)
                self._facts[diff_id] = facts
            # Whoever removes layers excludes others too: from here on it sees the lease.
            self._leases.keep(diff_id)

    def _remember(self, diff_id: Digest, layer: "Layer | _Unplaced") -> None:
        self._values.put(diff_id, layer, len(layer.changes) + 1)

    def _put_in_place(self, diff_id: Digest, facts: LayerFacts, scratch: str) -> None:
        with self._database.write(durable=False) as connection:
            remove_tree(self._layout.layer(diff_id))
            if facts.form == "tar":
                move(f"{scratch}/tar", self._layout.blob(diff_id))
            move(f"{scratch}/layer", self._layout.layer(diff_id))
            row = {
                "diff_id": diff_id,
                "form": facts.form,
                "size": facts.size,
                "tar_size": facts.tar_size,
                "complete": facts.complete,
                "below": facts.below,
            }
            connection.execute(insert(schema.layers).values(row))


@contextmanager
def _written_back(directory: str) -> Iterator[None]:
    """Have the disk take, beside what is done in this context, what was written on the filesystem of `directory`.

    Syncing it afterwards, which tells of errors, then waits for little.
    """

    def sync() -> None:
        with suppress(OSError):
            sync_filesystem(directory)

    thread = Thread(target=sync, name="imagewright-writeback")
    thread.start()
    try:
        yield
    finally:
        thread.join()


class _Counted:
    """Counts what is written, and hands it on to `keep`; `write` raises `Cancelled`."""

    def __init__(self, keep: Callable[[bytes], None], cancellation: Cancellation | None) -> None:
        self._keep = keep
        self._cancellation = cancellation
        self.size = 0

    def write(self, data: bytes, /) -> None:
        if self._cancellation is not None:
            self._cancellation.check()
        self.size += len(data)
        self._keep(data)


def _drop(_data: bytes) -> None:
    """Keep nothing."""


def _is_complete(layer: Layer) -> bool:
    """Whether the layer unpacks alike on any other: it removes nothing, and brings all parent directories."""
    directories = {""}
    for change in layer.changes:
        if not isinstance(change, Put) or change.path.rpartition("/")[0] not in directories:
            return False
        if isinstance(change.node, Directory):
            directories.add(change.path)
    return True


def _below(path: str, directory: str) -> str:
    if not path.startswith(f"{directory}/"):
        raise Corrupt("a captured layer has contents outside its directory")
    return path[len(directory) + 1 :]


@dataclass(frozen=True, slots=True)
class _Unplaced:
    """A layer whose bytes are in its tar, at `offsets` by the ids of its nodes, not yet where its extents say.

    Most layers that a build makes are never looked at again.
    """

    layer: Layer
    offsets: Mapping[int, int]

    @property
    def changes(self) -> tuple[Change, ...]:
        return self.layer.changes

    def place(self, path: str) -> Layer:
        """Return the layer with its contents in the file `path`."""
        nodes: dict[int, File] = {}
        changes: list[Change] = []
        for change in self.layer.changes:
            if isinstance(change, Put) and isinstance(change.node, File):
                node = nodes.get(id(change.node))
                if node is None:
                    node = nodes[id(change.node)] = _moved(change.node, Extent(path, self.offsets[id(change.node)]))
                changes.append(Put(change.path, node))
            else:
                changes.append(change)
        return Layer(tuple(changes))


def _moved(file: File, extent: Extent) -> File:
    """Return `file` with its bytes at `extent`."""
    content = Content(file.content.digest, file.content.size, extent)
    mode, uid, gid, mtime_ns = file.mode, file.uid, file.gid, file.mtime_ns
    return File(mode=mode, uid=uid, gid=gid, mtime_ns=mtime_ns, xattrs=file.xattrs, content=content)


def forget_layer(connection: Connection, diff_id: Digest) -> None:
    """Take a layer from the database, with what was recorded of it and its compressed forms."""
    for table in (schema.layers, schema.records, schema.blobs, schema.places):
        connection.execute(delete(table).where(table.c.diff_id == diff_id))


def load_facts(connection: Connection) -> dict[Digest, LayerFacts]:
    """Return what the database knows of every layer."""
    table = schema.layers
    rows = connection.execute(select(table))
    return {row.diff_id: LayerFacts(row.form, row.size, row.tar_size, row.complete, row.below) for row in rows}
