"""The store as a whole: one directory, one process."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Self

from imagewright.archive import Readable, Writable
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, NotFound
from imagewright.filesystem import Layer, Tree
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store.blobs import Blobs
from imagewright.store.cache_pruning import CachePruning
from imagewright.store.caches import CacheDirectory, Caches
from imagewright.store.containers import Containers
from imagewright.store.database import Database
from imagewright.store.disk import translated
from imagewright.store.forms import Directories, TarReader, Trees, Unpack, open_tar, write_tar
from imagewright.store.images import Images
from imagewright.store.layers import Layers
from imagewright.store.layout import Layout
from imagewright.store.leases import Leases
from imagewright.store.lock import RootLock
from imagewright.store.pruning import Pruning, prune
from imagewright.store.records import Records
from imagewright.store.recovery import recover
from imagewright.store.removal import ImageRemoval
from imagewright.store.sharing import layers_size
from imagewright.store.stacks import free_layers
from imagewright.store.summaries import Summaries
from imagewright.store.values import (
    Container,
    DiskUsage,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    LogLine,
    Pruned,
    Record,
    Removal,
    StoredImage,
)

__all__ = ["Lease", "Store"]

_EVERYTHING = ImageQuery()


class Lease:
    """Keeps layers from being removed until its context ends.

    Layers that are added, or found by a record, while a lease is open are kept by it without asking.
    """

    def __init__(self, layers: Layers) -> None:
        self._layers = layers

    def keep(self, diff_id: Digest) -> None:
        """Keep a layer that is here; raise `NotFound` if it is not."""
        if not self._layers.has(diff_id):
            raise NotFound(f"No such layer: {diff_id}")


class Store:
    """Everything durable: layers, images, their names, records of steps, intermediate containers. Thread-safe.

    Made by `open`, ended by `close` or as a context manager. Whatever a method did is still done after the process was
    killed at any moment; what half-happened is undone at the next `open`. Names given to images, and whatever was
    stored before, survive a power cut too, as does everything before `flush`. Raises `SystemFailure` where the disk
    does not take or give what it should.
    """

    def __init__(self, layout: Layout, lock: RootLock, database: Database, clock: Callable[[], int]) -> None:
        self._closed = False
        self._layout = layout
        self._lock = lock
        self._database = database
        self._lost: tuple[str, ...] = recover(layout, database)
        self._leases = Leases()
        self._layers = Layers(layout, database, self._leases)
        self._trees = Trees(self._layers)
        self._blobs = Blobs(layout, database, self._layers)
        self._directories = Directories(layout, self._layers, self._trees)
        self._summaries = Summaries(database, clock)
        self._catalogue = self._summaries.catalogue
        self._images = Images(database, self._layers, self._summaries, clock)
        self._records = Records(database, self._layers)
        self._containers = Containers(layout, database, self._layers, self._summaries)
        self._caches = Caches(layout.caches, layout.ingest, clock=clock)
        self._clock = clock

    @classmethod
    def open(cls, root: str, *, clock: Callable[[], int]) -> Self:
        """Open the store in the directory `root`, an absolute path, making it if it is not there (its parent must be).

        `clock` gives the time in nanoseconds since 1970. Raises `SystemFailure` if another process has it open.
        """
        with translated("cannot open the data root"):
            layout = Layout.at(root)
            layout.make()
            lock = RootLock(layout.lock)
        try:
            database = Database(layout.database, clock=clock)
            try:
                return cls(layout, lock, database, clock)
            except BaseException:
                database.close()
                raise
        except BaseException:
            lock.close()
            raise

    def close(self) -> None:
        """Let another process open the store; idempotent. No other method may run or be called then."""
        if self._closed:
            return
        self._closed = True
        self._layout.trash.close()
        self._summaries.uses.flush()
        self._database.close()
        self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def generation(self) -> int:
        """A number that changes whenever an answer of `list_images` may change, also from one process to the next.

        Read it before the list that it is to stand for.
        """
        return self._catalogue.generation

    @property
    def lost(self) -> tuple[str, ...]:
        """What `open` had to give up because its bytes were gone, in words for the log."""
        return self._lost

    def flush(self) -> None:
        """Return once everything stored so far survives a power cut."""
        self._summaries.uses.flush()
        with self._database.write(durable=True):
            pass

    def scratch(self) -> AbstractContextManager[str]:
        """Give the path of a private, empty directory on the filesystem of the store, removed when the context ends."""
        return self._layout.scratch()

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Keep the layers that are added or found in this context, or that the lease is told to keep, until it ends."""
        lease = self._leases.open()
        try:
            yield Lease(self._layers)
        finally:
            self._leases.close(lease)

    def sweep(self) -> None:
        """Remove the layers that no image, no container and no lease holds, with the records of them."""
        with self._layout.scratch() as trash, self._database.exclusive():
            condemned: list[Digest] = []
            try:
                with self._database.write(durable=False) as connection:
                    condemned = self._layers.remove(free_layers(connection), connection)
            except BaseException:
                self._layers.acquit(condemned)
                raise
            with translated("cannot remove a layer"):
                self._layers.discard(condemned, trash)
            self._trees.discard(condemned)

    def add_layer(self, layer: Layer, *, cancellation: Cancellation | None = None) -> Digest:
        """Keep `layer` as its canonical tar, and return its diff_id; idempotent, atomic.

        The contents are copied: their extents are not needed afterwards. Raises `Cancelled` while they are.
        """
        return self._layers.add(layer, cancellation)

    def add_layer_directory(
        self, layer: Layer, directory: str, *, below: Sequence[Digest], cancellation: Cancellation | None = None
    ) -> Digest:
        """Take over `directory`, captured as `layer`, whose extents point into it; idempotent, atomic.

        It was captured on the layers `below`, lowest first: there it is mounted again as it is; on others it is
        unpacked from the layer, since it may hold copies of what was below it. The directory must be on the filesystem
        of the store (in a `scratch`), and is gone afterwards. Returns the diff_id, the digest of the canonical tar,
        which is composed again when somebody asks for it.
        """
        return self._layers.add_directory(layer, directory, below, cancellation)

    def add_layer_stream(self, stream: Readable, *, diff_id: Digest | None = None) -> Digest:
        """Keep the tar that `stream` has, compressed or not, and return its diff_id; idempotent, atomic.

        It is kept byte for byte, uncompressed. Where `diff_id` is given and here already, nothing is read. Raises
        `Corrupt` if the bytes have another digest than `diff_id`, and `InvalidInput` if they are no layer.
        """
        return self._layers.add_stream(stream, diff_id)

    @property
    def caches(self) -> Caches:
        """The directories of cache mounts."""
        return self._caches

    @property
    def blobs(self) -> Blobs:
        """The layers as registries have them, and manifests."""
        return self._blobs

    def has_layer(self, diff_id: Digest) -> bool:
        """Whether the layer is here; if so, every open lease keeps it."""
        return self._layers.has(diff_id)

    def get_layer(self, diff_id: Digest) -> Layer:
        """Return the layer as a value, its extents pointing into the store; raise `NotFound`."""
        return self._layers.get(diff_id)

    def layer_size(self, diff_id: Digest) -> int:
        """Return the bytes of the layer's files, as image lists count them; raise `NotFound`."""
        return self._layers.facts(diff_id).size

    def layer_tar_size(self, diff_id: Digest) -> int:
        """Return the bytes of the layer's uncompressed tar; raise `NotFound`."""
        return self._layers.facts(diff_id).tar_size

    def open_layer_tar(self, diff_id: Digest) -> TarReader:
        """Return the layer's uncompressed tar, to be closed by the caller; raise `NotFound`.

        The bytes are verified as they are read: the last `read` raises `Corrupt` if they are not those of `diff_id`.
        """
        return open_tar(self._layers, self._layout, diff_id)

    def write_layer_tar(self, diff_id: Digest, out: Writable) -> None:
        """Write the layer's uncompressed tar to `out`; raise `NotFound`, and `Corrupt` at the end of wrong bytes."""
        write_tar(self._layers, self._layout, diff_id, out)

    def tree(self, diff_ids: Sequence[Digest]) -> Tree:
        """Return the filesystem that the layers `diff_ids`, lowest first, make together; raise `NotFound`."""
        return self._trees.get(diff_ids)

    def layer_directory(
        self, diff_id: Digest, below: Sequence[Digest], unpack: Unpack, *, cancellation: Cancellation | None = None
    ) -> str:
        """Return the path of the layer as a directory, for mounting above the layers `below`, lowest first.

        Made at the first call, by `unpack(layer, directory, tree of the layers below)` in a new directory, and never to
        be changed. Raises `NotFound`, and `Cancelled` while somebody else makes the same.
        """
        return self._directories.get(diff_id, below, unpack, cancellation)

    def add_image(
        self,
        config: bytes,
        *,
        parent: Digest | None = None,
        references: Sequence[Reference] = (),
        stamp: bool = True,
    ) -> Digest:
        """Keep the image with the configuration `config` and give it the names `references`; return its id.

        One transaction; idempotent. Names move here from the image that had them. An image that has a parent keeps it.
        Without `stamp` the names do not count as given now: `tagged_ns` stays what it was.
        Raises `NotFound` if a layer or the parent is missing, and `InvalidInput` if `config` is no configuration.
        """
        return self._images.add(config, parent, references, stamp=stamp)

    def resolve(self, name: str) -> Digest:
        """Return the image that `name` means: a reference, an id, or the beginning of one, with or without `sha256:`.

        Raises `NotFound`, also where several ids begin so, and `InvalidInput` for what cannot be a name.
        """
        return self._catalogue.resolve(name)

    def find_reference(self, reference: Reference) -> Digest | None:
        """Return the image that `reference` names; without tag and digest it names the default tag."""
        return self._catalogue.find(reference)

    def list_references(self) -> list[tuple[Reference, Digest]]:
        """Return all names with their images, ordered by the canonical names."""
        return self._catalogue.names()

    def get_image(self, image_id: Digest) -> StoredImage:
        """Return everything that is known of the image; raise `NotFound`."""
        return self._images.get(image_id)

    def find_summary(self, image_id: Digest) -> ImageSummary | None:
        """Return what lists show of the image."""
        entry = self._catalogue.find_entry(image_id)
        return None if entry is None else entry.summary

    def list_images(self, query: ImageQuery = _EVERYTHING) -> list[ImageSummary]:
        """Return the images that `query` selects, newest first by the second, then by id.

        Raises `NotFound` for a bound that names no image, and `InvalidInput` for a pattern or a name that is none.
        """
        return self._catalogue.list(query, self._clock())

    def image_count(self) -> int:
        """Return how many images there are, intermediate ones included."""
        return len(self._catalogue)

    def history(self, image_id: Digest) -> list[HistoryItem]:
        """Return the steps in the making of the image, newest first; raise `NotFound`."""
        return self._images.history(image_id)

    def tag(self, image_id: Digest, reference: Reference) -> None:
        """Let `reference` name the image, whatever it named before; the default tag is added where it has none.

        Raises `NotFound`, and `InvalidInput` for a reference with a digest or the repository `sha256`.
        """
        self._images.tag(image_id, reference)

    def untag(self, reference: Reference) -> None:
        """Take a name away from its image, which stays; raise `NotFound` if it names none."""
        self._images.untag(reference)

    def remove_image(self, name: str, *, force: bool = False, prune_parents: bool = True) -> list[Removal]:
        """Remove what `name` means, a name of an image or by its id the image, and return what that did, in order.

        One transaction. An image goes with its last name; its parents follow if nothing needs them, unless
        `prune_parents` is False; layers that nobody holds go too. `force` takes images with several names by their id,
        and those that containers use. Raises `NotFound`, `InvalidInput`, and `Conflict` as the engine words it.
        """
        if not name.strip():
            raise InvalidInput("image name cannot be blank")
        with self._summaries.changing(durable=True) as change:
            removal = ImageRemoval(change, force, prune_parents)
            removal.remove(self._catalogue.resolve(name), name)
        if any(step.deleted is not None for step in removal.removals):
            self.sweep()
        return removal.removals

    def prune_images(self, pruning: Pruning) -> Pruned:
        """Remove the images that `pruning` selects and nothing needs; return what that did, in order.

        One transaction. Parents without a name go with the last of their children, whatever `pruning` says of them,
        and layers that nobody holds go too.
        """
        with self._summaries.changing(durable=True) as change:
            pruned = prune(change, self._catalogue, pruning, now_ns=self._clock())
        if pruned.removals:
            self.sweep()
        return pruned

    def note_use(self, image_id: Digest) -> None:
        """Say that the image is being used; cheap, and never waits. What adds or tags an image notes it already."""
        self._summaries.uses.note(image_id)

    def disk_usage(self) -> DiskUsage:
        """Return what is kept and how much of it there is; only caches used since the last time are measured."""
        with self._database.read() as connection:
            size = layers_size(connection)
        return DiskUsage(
            layers_size=size,
            images=tuple(self.list_images()),
            containers=tuple(self.list_containers()),
            caches=tuple(self._caches.list()),
        )

    def prune_caches(self, pruning: CachePruning) -> list[CacheDirectory]:
        """Remove the cache directories that `pruning` selects, and return them. Each is gone whole or not at all."""
        caches = self._caches.list()
        disk = os.statvfs(self._layout.root)
        selected = pruning.select(caches, now_ns=self._clock(), free=disk.f_bavail * disk.f_frsize)
        return [cache for cache in selected if self._caches.remove(cache.id)]

    def find_record(self, key: Digest) -> Record | None:
        """Return what the step with the cache key `key` came to, if its layer is here; every open lease keeps that."""
        return self._records.find(key)

    def newest_records(self, count: int) -> list[Record]:
        """Return the `count` records that were made last, the newest first; some of their layers may be gone."""
        return self._records.newest(count)

    def put_record(self, key: Digest, record: Record) -> None:
        """Keep `record` under `key`, instead of what was there."""
        self._records.put(key, record)

    def find_adoptable(self, parent: Digest | None, content: Digest) -> Record | None:
        """Return the record of the layer with `content` made first on `parent`; every open lease keeps the layer."""
        return self._records.find_adoptable(parent, content)

    def add_container(self, container: Container, *, log: str = "") -> None:
        """Keep an intermediate container and its layers, without `diff_ids` those of its image.

        `log` is the path of what a `LogWriter` wrote in a `scratch`, which is taken over. Raises `NotFound` without
        its image or a layer, `Conflict` if id or name are taken.
        """
        self._containers.add(container, log)

    def list_containers(self) -> list[Container]:
        """Return all containers, newest first."""
        return self._containers.list()

    def get_container(self, name: str) -> Container:
        """Return the container with the id or name `name`, or whose id alone begins so; raise `NotFound`."""
        return self._containers.get(name)

    def read_log(self, name: str, *, tail: int | None = None) -> Iterator[LogLine]:
        """Return what the process of a container printed, or the last `tail` lines; raises what `get_container` does.

        Nothing is read before the first line is asked for; it can be read to its end whatever happens meanwhile.
        """
        return self._containers.read_log(name, tail)

    def remove_container(self, name: str) -> Container:
        """Remove and return what `get_container` returns, and the layers that only it held; raise `NotFound`."""
        container = self._containers.remove(name)
        self.sweep()
        return container
