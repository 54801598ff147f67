"""What steps came to: the build cache."""

from sqlalchemy import Row, bindparam, select
from sqlalchemy.dialects import sqlite

from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.layers import Layers
from imagewright.store.values import Record

__all__ = ["Records"]

# Made once: putting it together takes longer than finding the row, and every step of a build looks.
_BY_KEY = select(schema.records).where(schema.records.c.key == bindparam("wanted"))


class Records:
    """Records by their cache key. Thread-safe. A record whose layer is gone is not found.

    Layers that are found are kept by every open lease.
    """

    def __init__(self, database: Database, layers: Layers) -> None:
        self._database = database
        self._layers = layers

    def find(self, key: Digest) -> Record | None:
        """Return the record under `key`."""
        with self._database.read() as connection:
            row = connection.execute(_BY_KEY, {"wanted": key}).first()
        if row is None or (row.diff_id is not None and not self._layers.has(row.diff_id)):
            return None
        return _record(row)

    def newest(self, count: int) -> list[Record]:
        """Return the `count` records that were made last, the newest first; some of their layers may be gone."""
        table = schema.records
        with self._database.read() as connection:
            rows = connection.execute(select(table).order_by(table.c.created_ns.desc(), table.c.key).limit(count))
            return [_record(row) for row in rows]

    def put(self, key: Digest, record: Record) -> None:
        """Keep `record` under `key`, instead of what was there."""
        values = {
            "diff_id": record.diff_id,
            "created_ns": record.created_ns,
            "leaves": dict(record.leaves),
            "parent": record.parent,
            "content": record.content,
        }
        row = sqlite.insert(schema.records).values(key=key, **values)
        with self._database.write(durable=False) as connection:
            connection.execute(row.on_conflict_do_update(index_elements=[schema.records.c.key], set_=values))

    def find_adoptable(self, parent: Digest | None, content: Digest) -> Record | None:
        """Return the record of the layer with `content` that was made first on the stack with the chain_id `parent`."""
        table = schema.records
        query = select(table).where(table.c.content == content, table.c.parent == parent, table.c.diff_id.is_not(None))
        with self._database.read() as connection:
            rows = sorted(connection.execute(query), key=lambda row: (row.created_ns, row.diff_id))
        return next((_record(row) for row in rows if self._layers.has(row.diff_id)), None)


def _record(row: Row[tuple[object, ...]]) -> Record:
    return Record(
        diff_id=row.diff_id,
        created_ns=row.created_ns,
        leaves=row.leaves,
        parent=row.parent,
        content=row.content,
    )
