"""Which layers images and containers hold."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from imagewright.oci import Digest
from imagewright.store import schema

__all__ = ["Freed", "free_layers", "hold", "release"]


@dataclass(frozen=True, slots=True)
class Freed:
    """A stack of layers, by its chain_id, that nobody holds; `size` in bytes of its highest layer's contents."""

    chain_id: Digest
    size: int


def hold(connection: Connection, owner: str, diff_ids: Sequence[Digest]) -> None:
    """Have `owner` hold the layers `diff_ids`, lowest first."""
    rows = []
    chain: Digest | None = None
    for position, diff_id in enumerate(diff_ids):
        chain = diff_id if chain is None else Digest.of(f"{chain} {diff_id}".encode())
        rows.append({"owner": owner, "position": position, "diff_id": diff_id, "chain_id": chain})
    if rows:
        connection.execute(insert(schema.stacks), rows)


def release(connection: Connection, owner: str) -> list[Freed]:
    """Have `owner` hold nothing; return what now nobody holds, highest first."""
    table, layers = schema.stacks, schema.layers
    query = select(table.c.chain_id, layers.c.size).join(layers, layers.c.diff_id == table.c.diff_id)
    rows = list(connection.execute(query.where(table.c.owner == owner).order_by(table.c.position.desc())))
    connection.execute(delete(table).where(table.c.owner == owner))
    freed = []
    for row in rows:
        if connection.scalar(select(table.c.owner).where(table.c.chain_id == row.chain_id).limit(1)) is not None:
            break  # Whoever holds a chain holds those below it.
        freed.append(Freed(row.chain_id, row.size))
    return freed


def free_layers(connection: Connection) -> list[Digest]:
    """Return the layers that no image and no container holds."""
    held = select(schema.stacks.c.diff_id)
    return list(connection.scalars(select(schema.layers.c.diff_id).where(schema.layers.c.diff_id.not_in(held))))
