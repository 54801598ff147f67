"""Which layers images and containers hold."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete, insert, select

from imagewright.oci import Digest
from imagewright.store import schema

__all__ = ["free_layers", "hold", "release"]


def hold(connection: Connection, owner: str, diff_ids: Sequence[Digest]) -> None:
    """Have `owner` hold the layers `diff_ids`, lowest first."""
    rows = []
    chain: Digest | None = None
    for position, diff_id in enumerate(diff_ids):
        chain = diff_id if chain is None else Digest.of(f"{chain} {diff_id}".encode())
        rows.append({"owner": owner, "position": position, "diff_id": diff_id, "chain_id": chain})
    if rows:
        connection.execute(insert(schema.stacks), rows)


def release(connection: Connection, owner: str) -> list[Digest]:
    """Have `owner` hold nothing; return the chain_ids that now nobody holds, highest first."""
    table = schema.stacks
    chains = list(
        connection.scalars(select(table.c.chain_id).where(table.c.owner == owner).order_by(table.c.position.desc()))
    )
    connection.execute(delete(table).where(table.c.owner == owner))
    held = set(connection.scalars(select(table.c.chain_id).where(table.c.chain_id.in_(chains)).distinct()))
    return [chain for chain in chains if chain not in held]


def free_layers(connection: Connection) -> list[Digest]:
    """Return the layers that no image and no container holds."""
    held = select(schema.stacks.c.diff_id)
    return list(connection.scalars(select(schema.layers.c.diff_id).where(schema.layers.c.diff_id.not_in(held))))
