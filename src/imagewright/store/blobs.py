"""Layers as registries have them: compressed, under digests of their own, and the manifests that name them."""

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from sqlalchemy import select, text
from sqlalchemy.dialects import sqlite

from imagewright.archive import CHUNK, Readable, Writable
from imagewright.errors import NotFound
from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.disk import move, translated
from imagewright.store.layers import Layers
from imagewright.store.layout import Layout

__all__ = ["Blobs", "LayerBlob", "StoredManifest"]

# How they begin: RFC 1952 section 2.3.1, RFC 8878 sections 3.1.1 and 3.1.2.
_COMPRESSIONS = (
    ("gzip", re.compile(rb"\x1f\x8b\x08")),
    ("zstd", re.compile(rb"(?s:\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)")),
)
# The order in which rows were written.
_ARRIVAL = text("rowid")
_OTHER = "other"
_LONGEST_MAGIC = 4


@dataclass(frozen=True, slots=True)
class LayerBlob:
    """A compressed form of a layer that is kept; `size` in bytes, `compression` is gzip, zstd or other.

    `repositories` are those, with their registries, where it has been seen.
    """

    digest: Digest
    compression: str
    size: int
    repositories: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest under which an image was pulled or pushed, byte for byte."""

    digest: Digest
    media_type: str
    data: bytes


class Blobs:
    """The compressed forms of layers, and the manifests of images. Thread-safe.

    A form is beside its layer and goes with it: a lease on the layer keeps it. Everything here is idempotent and
    atomic: bytes are on the disk under their final name before the database knows of them.
    """

    def __init__(self, layout: Layout, database: Database, layers: Layers) -> None:
        self._layout = layout
        self._database = database
        self._layers = layers

    def add_stream(self, stream: Readable, diff_id: Digest, *, digest: Digest | None = None) -> None:
        """Keep the layer that `stream` has, unpacked and, if it is compressed, as it came.

        All of `stream` is read, unless the layer is here: then nothing is. A stream that verifies its own `digest`,
        raising an error at its end at the latest, is not hashed again. Raises `Corrupt` if the unpacked bytes are not
        those of `diff_id`, and `InvalidInput` if they are no layer.
        """
        if self._layers.has(diff_id):
            return
        with self._layout.scratch() as scratch, translated("cannot keep a layer"):
            path = f"{scratch}/compressed"
            with open(path, "xb") as file:
                kept = _Copied(stream, file, digest)
                self._layers.add_stream(kept, diff_id)
                while kept.read(CHUNK):
                    pass  # Whoever verifies a stream does so at its end, which an unpacker may not have asked for.
                blob = kept.blob()
                file.flush()
                os.fsync(file.fileno())
            if blob.digest != diff_id:
                self._register(path, diff_id, blob)

    def add(self, diff_id: Digest, write: Callable[[Writable], object]) -> LayerBlob:
        """Keep a compressed form of a layer that is here, which `write` makes; return it."""
        with self._layout.scratch() as scratch, translated("cannot keep a layer"):
            path = f"{scratch}/compressed"
            with open(path, "xb") as file:
                made = _Written(file)
                write(made)
                file.flush()
                os.fsync(file.fileno())
            blob = made.blob()
            self._register(path, diff_id, blob)
        return blob

    def find(self, diff_id: Digest) -> Sequence[LayerBlob]:
        """Return the compressed forms of a layer, in the order in which they came."""
        blobs, places = schema.blobs, schema.places
        with self._database.read() as connection:
            rows = connection.execute(select(blobs).where(blobs.c.diff_id == diff_id).order_by(_ARRIVAL))
            found = [LayerBlob(row.digest, row.compression, row.size) for row in rows]
            seen: dict[Digest, set[str]] = {}
            for row in connection.execute(select(places).where(places.c.diff_id == diff_id)):
                seen.setdefault(row.digest, set()).add(row.repository)
        return [
            LayerBlob(blob.digest, blob.compression, blob.size, frozenset(seen.get(blob.digest, ()))) for blob in found
        ]

    def open(self, diff_id: Digest, digest: Digest) -> BinaryIO:
        """Return the compressed form `digest` of a layer, to be closed by the caller; raise `NotFound`.

        Its bytes are not verified: registries do so.
        """
        try:
            with translated("cannot read a layer"):
                return open(self._layout.compressed(diff_id, digest), "rb")
        except Exception as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise NotFound(f"No such blob: {digest}") from error
            raise

    def note_place(self, diff_id: Digest, digest: Digest, repository: str) -> None:
        """Remember that `repository`, named with its registry, has the form `digest` of a layer."""
        row = sqlite.insert(schema.places).values(digest=digest, repository=repository, diff_id=diff_id)
        with self._database.write(durable=False) as connection:
            connection.execute(row.on_conflict_do_nothing())

    def add_manifest(self, image: Digest, media_type: str, data: bytes) -> Digest:
        """Keep a manifest of the image; return its digest. Raises `NotFound` without the image."""
        digest = Digest.of(data)
        row = sqlite.insert(schema.manifests).values(digest=digest, image=image, media_type=media_type, data=data)
        with self._database.write(durable=False) as connection:
            if connection.scalar(select(schema.images.c.id).where(schema.images.c.id == image)) is None:
                raise NotFound(f"No such image: {image}")
            connection.execute(row.on_conflict_do_nothing())
        return digest

    def list_manifests(self, image: Digest) -> Sequence[StoredManifest]:
        """Return the manifests of the image, in the order in which they came."""
        table = schema.manifests
        with self._database.read() as connection:
            rows = connection.execute(select(table).where(table.c.image == image).order_by(_ARRIVAL))
            return [StoredManifest(row.digest, row.media_type, row.data) for row in rows]

    def _register(self, path: str, diff_id: Digest, blob: LayerBlob) -> None:
        """Move the file at `path`, which is on the disk, beside its layer, and tell the database."""
        row = sqlite.insert(schema.blobs).values(
            digest=blob.digest, diff_id=diff_id, compression=blob.compression, size=blob.size
        )
        with self._database.exclusive():
            self._layers.facts(diff_id)
            with self._database.write(durable=False) as connection:
                move(path, self._layout.compressed(diff_id, blob.digest))
                connection.execute(row.on_conflict_do_nothing())


class _Written:
    """Writes to `file`, and knows what was written, of which others may have worked out the `digest`."""

    def __init__(self, file: BinaryIO, digest: Digest | None = None) -> None:
        self._file = file
        self._digest = digest
        self._hash = hashlib.sha256()
        self._head = b""
        self._size = 0

    def write(self, data: bytes, /) -> None:
        self._file.write(data)
        if self._digest is None:
            self._hash.update(data)
        self._size += len(data)
        if len(self._head) < _LONGEST_MAGIC:
            self._head += data[:_LONGEST_MAGIC]

    def blob(self) -> LayerBlob:
        """Return what has been written, as the form of a layer."""
        name = next((name for name, magic in _COMPRESSIONS if magic.match(self._head)), _OTHER)
        return LayerBlob(self._digest or Digest(self._hash.hexdigest()), name, self._size)


class _Copied(_Written):
    """A stream that is copied to `file` as it is read."""

    def __init__(self, stream: Readable, file: BinaryIO, digest: Digest | None) -> None:
        super().__init__(file, digest)
        self._stream = stream

    def read(self, n: int, /) -> bytes:
        data = self._stream.read(n)
        self.write(data)
        return data
