"""The rows that the image list shows, and the catalogue, kept in step with the tables they follow from."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, func, select, update

from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.catalogue import Catalogue
from imagewright.store.database import Database
from imagewright.store.listing import Entry

__all__ = ["Summaries"]


class Summaries:
    """Every change to images, names and containers goes through `changing`. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.read() as connection:
            self.catalogue = Catalogue(_load(connection), _generation(connection))

    @contextmanager
    def changing(self, *, durable: bool) -> Iterator[tuple[Connection, set[Digest]]]:
        """Give a transaction, and a set to which its images are added whose row, names or containers it changes.

        In the same transaction their summaries are written anew; the catalogue follows once it has committed.
        """
        with self._database.exclusive():
            touched: set[Digest] = set()
            with self._database.write(durable=durable) as connection:
                yield connection, touched
                for image in touched:
                    _refresh(connection, image)
                generation = _advance(connection)
                entries = _load(connection, touched)
            self.catalogue.change({image: entries.get(image) for image in touched}, generation)


def _refresh(connection: Connection, image: Digest) -> None:
    names = connection.scalars(
        select(schema.references.c.name).where(schema.references.c.image == image).order_by(schema.references.c.name)
    )
    count = connection.scalar(
        select(func.count()).select_from(schema.containers).where(schema.containers.c.image == image)
    )
    table = schema.summaries
    connection.execute(update(table).where(table.c.id == image).values(names=list(names), containers=count))


def _load(connection: Connection, images: Iterable[Digest] | None = None) -> dict[Digest, Entry]:
    table = schema.summaries
    query = select(
        table.c.id,
        table.c.parent,
        table.c.created_ns,
        table.c.size,
        table.c.names,
        table.c.labels,
        table.c.containers,
    )
    if images is not None:
        query = query.where(table.c.id.in_(list(images)))
    return {
        row.id: Entry.make(
            row.id,
            parent=row.parent,
            created_ns=row.created_ns,
            size=row.size,
            names=row.names,
            labels=row.labels,
            containers=row.containers,
        )
        for row in connection.execute(query)
    }


def _generation(connection: Connection) -> int:
    table = schema.properties
    return int(connection.execute(select(table.c.value).where(table.c.name == "generation")).scalar_one())


def _advance(connection: Connection) -> int:
    table = schema.properties
    connection.execute(update(table).where(table.c.name == "generation").values(value=table.c.value + 1))
    return _generation(connection)
