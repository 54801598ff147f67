"""The rows that the image list shows, and the catalogue, kept in step with the tables they follow from."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, func, select, update

from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.catalogue import Catalogue
from imagewright.store.database import Database
from imagewright.store.listing import Entry
from imagewright.store.sharing import Sharing
from imagewright.store.stacks import Freed, release
from imagewright.store.uses import Uses, note_use

__all__ = ["Change", "Summaries"]

# Statements that are made once: to put one together costs more than to carry it out.
_IMAGE: BindParameter[Digest] = bindparam("image", type_=schema.images.c.id.type)
_NAMES = select(schema.references.c.name).where(schema.references.c.image == _IMAGE).order_by(schema.references.c.name)
_CONTAINERS = select(func.count()).select_from(schema.containers).where(schema.containers.c.image == _IMAGE)
_ENTRIES = select(
    schema.summaries.c.id,
    schema.summaries.c.parent,
    schema.summaries.c.created_ns,
    schema.summaries.c.size,
    schema.summaries.c.shared_size,
    schema.summaries.c.names,
    schema.summaries.c.labels,
    schema.summaries.c.containers,
    schema.uses.c.last_used_ns,
).join(schema.uses, schema.uses.c.id == schema.summaries.c.id)
_ENTRY = _ENTRIES.where(schema.summaries.c.id == _IMAGE)
_PROPERTY = schema.properties.c.name == "generation"
_GENERATION = select(schema.properties.c.value).where(_PROPERTY)
_ADVANCE = update(schema.properties).where(_PROPERTY).values(value=schema.properties.c.value + 1)


@dataclass(slots=True)
class Change:
    """A transaction on images, names and containers.

    What changes the row, the names or the containers of an image adds it to `touched`, what changes no more than its
    children, or makes it without names, to `recounted`, what uses it to `used`.
    """

    connection: Connection
    touched: set[Digest] = field(default_factory=set)
    recounted: set[Digest] = field(default_factory=set)
    used: set[Digest] = field(default_factory=set)
    removed: set[Digest] = field(default_factory=set)
    _sharing: Sharing = field(init=False)

    def __post_init__(self) -> None:
        self._sharing = Sharing(self.connection)

    def remove(self, image: Digest) -> list[Freed]:
        """Delete `image`, which has neither names nor children; return the layers that now nobody holds."""
        parent = self.connection.scalar(select(schema.images.c.parent).where(schema.images.c.id == image))
        if parent is not None:
            self.recounted.add(parent)
        self._sharing.leave(image)
        self.connection.execute(delete(schema.manifests).where(schema.manifests.c.image == image))
        for table in (schema.images, schema.summaries, schema.uses):
            self.connection.execute(delete(table).where(table.c.id == image))
        self.removed.add(image)
        return release(self.connection, image.encoded)

    def settle(self, now_ns: int) -> set[Digest]:
        """Write everything that follows from what was done; return the images whose entries may be others now."""
        for image in self.touched - self.removed:
            _refresh(self.connection, image)
        for image in self.used:
            note_use(self.connection, image, now_ns)
        stale = self._sharing.settle((self.touched | self.recounted) - self.removed)
        return self.touched | self.recounted | self.used | self.removed | stale


class Summaries:
    """Every change to images, names and containers goes through `changing`. Thread-safe.

    `clock` gives the time in nanoseconds since 1970.
    """

    def __init__(self, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._clock = clock
        with database.read() as connection:
            self.catalogue = Catalogue(_load(connection), _generation(connection))
        self.uses = Uses(database, self.catalogue, clock)

    @contextmanager
    def changing(self, *, durable: bool) -> Iterator[Change]:
        """Give a transaction, which is told the images that it changes.

        In the same transaction their summaries are written anew; the catalogue follows once it has committed. The
        generation grows if the list has changed.
        """
        with self._database.exclusive():
            with self._database.write(durable=durable) as connection:
                change = Change(connection)
                yield change
                images = change.settle(self._clock())
                found = _load(connection, images)
                entries = {image: found.get(image) for image in images}
                generation = _generation(connection)
                if self.catalogue.differs(entries):
                    generation = _advance(connection)
            self.catalogue.change(entries, generation)


def _refresh(connection: Connection, image: Digest) -> None:
    names = connection.scalars(_NAMES, {"image": image})
    count = connection.scalar(_CONTAINERS, {"image": image})
    table = schema.summaries
    connection.execute(update(table).where(table.c.id == image).values(names=list(names), containers=count))


def _load(connection: Connection, images: Iterable[Digest] | None = None) -> dict[Digest, Entry]:
    if images is None:
        return {row.id: _entry(row) for row in connection.execute(_ENTRIES)}
    found = {}
    for image in images:
        row = connection.execute(_ENTRY, {"image": image}).first()
        if row is not None:
            found[image] = _entry(row)
    return found


def _entry(row: Any) -> Entry:
    return Entry.make(
        row.id,
        parent=row.parent,
        created_ns=row.created_ns,
        size=row.size,
        names=row.names,
        labels=row.labels,
        containers=row.containers,
        shared_size=row.shared_size,
        last_used_ns=row.last_used_ns,
    )


def _generation(connection: Connection) -> int:
    return int(connection.execute(_GENERATION).scalar_one())


def _advance(connection: Connection) -> int:
    connection.execute(_ADVANCE)
    return _generation(connection)
