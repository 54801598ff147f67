"""How much of an image other images have too, kept as images come and go.

A layer is shared where two images have it on the same layers below. The table `chains` counts, for each such stack, the
images that somebody sees: those with a name, and those that are nobody's parent. An untagged parent is a step on the
way to its child, which has its layers anyway: it counts for nothing, and what it has is shared if one image counted
has it. So the answer for an image changes only where a count passes one or two, however many images are on a base.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import BindParameter, ColumnElement, Connection, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects import sqlite

from imagewright.oci import Digest
from imagewright.store import schema

__all__ = ["Sharing", "layers_size", "recount"]

_AT_ONCE = 500

# Statements that are made once: to put one together costs more than to carry it out.
_IMAGE: BindParameter[Digest] = bindparam("image", type_=schema.images.c.id.type)
_OWNER = bindparam("owner", type_=schema.stacks.c.owner.type)
_SEEN = select(
    schema.summaries.c.counted,
    (exists().where(schema.references.c.image == _IMAGE) | ~exists().where(schema.images.c.parent == _IMAGE)).label(
        "seen"
    ),
).where(schema.summaries.c.id == _IMAGE)
_STACK = (
    select(schema.stacks.c.chain_id, schema.layers.c.size)
    .join(schema.layers, schema.layers.c.diff_id == schema.stacks.c.diff_id)
    .where(schema.stacks.c.owner == _OWNER)
)
_SHARED = (
    select(func.coalesce(func.sum(schema.layers.c.size), 0))
    .select_from(schema.stacks)
    .join(schema.layers, schema.layers.c.diff_id == schema.stacks.c.diff_id)
    .join(schema.chains, schema.chains.c.chain_id == schema.stacks.c.chain_id)
    .where(
        schema.stacks.c.owner == _OWNER,
        # An image does not share with itself.
        schema.chains.c.images
        > select(schema.summaries.c.counted).where(schema.summaries.c.id == _IMAGE).scalar_subquery(),
    )
)
_WRITE_SIZE = (
    update(schema.summaries).where(schema.summaries.c.id == _IMAGE).values(shared_size=_SHARED.scalar_subquery())
)
_COUNTED = update(schema.summaries).where(schema.summaries.c.id == _IMAGE).values(counted=bindparam("seen"))


@dataclass(slots=True)
class Sharing:
    """What one transaction, that of `connection`, does to the counts."""

    connection: Connection
    _deltas: Counter[Digest] = field(default_factory=Counter)
    _sizes: dict[Digest, int] = field(default_factory=dict)

    def leave(self, image: Digest) -> None:
        """Say that `image` is about to be deleted: its summary and its layers are still there."""
        table = schema.summaries
        if self.connection.scalar(select(table.c.counted).where(table.c.id == image)):
            self._count(image, -1)

    def settle(self, images: Iterable[Digest]) -> set[Digest]:
        """Count anew those of `images` that are new, or may have become seen or unseen; write all sizes that follow.

        Nothing else may change in the transaction after that. Returns the images whose summaries were written.
        """
        stale = {image for image in images if self._look_at(image)}
        deltas = {chain: delta for chain, delta in self._deltas.items() if delta}
        before = self._apply(deltas)
        after = {chain: before[chain] + delta for chain, delta in deltas.items()}
        counted = schema.summaries.c.counted
        stale |= self._holders(_passing(before, after, 2), counted.is_(True))
        stale |= self._holders(_passing(before, after, 1), counted.is_(False))
        for image in stale:
            self._write_size(image)
        return stale

    def _look_at(self, image: Digest) -> bool:
        """Count `image` if it is seen and was not, or the reverse; return whether that is so."""
        row = self.connection.execute(_SEEN, {"image": image}).first()
        if row is None or row.counted == bool(row.seen):
            return False
        self.connection.execute(_COUNTED, {"image": image, "seen": bool(row.seen)})
        self._count(image, 1 if row.seen else -1)
        return True

    def _count(self, image: Digest, delta: int) -> None:
        for row in self.connection.execute(_STACK, {"owner": image.encoded}):
            self._deltas[row.chain_id] += delta
            self._sizes[row.chain_id] = row.size

    def _apply(self, deltas: dict[Digest, int]) -> Counter[Digest]:
        """Change the counts by `deltas`, and return what they were."""
        table = schema.chains
        before: Counter[Digest] = Counter()
        for some in _batches(list(deltas)):
            query = select(table.c.chain_id, table.c.images).where(table.c.chain_id.in_(some))
            before.update({row.chain_id: row.images for row in self.connection.execute(query)})
        counts = {chain: before[chain] + delta for chain, delta in deltas.items()}
        for some in _batches([chain for chain, count in counts.items() if not count]):
            self.connection.execute(delete(table).where(table.c.chain_id.in_(some)))
        rows = [
            {"chain_id": chain, "size": self._sizes[chain], "images": count} for chain, count in counts.items() if count
        ]
        if rows:
            row = sqlite.insert(table)
            change = row.on_conflict_do_update(
                index_elements=[table.c.chain_id], set_={"images": row.excluded.images, "size": row.excluded.size}
            )
            self.connection.execute(change, rows)
        return before

    def _holders(self, chains: Sequence[Digest], condition: ColumnElement[bool]) -> set[Digest]:
        """Return the images for which `condition` holds and that have one of `chains`."""
        stacks, table = schema.stacks, schema.summaries
        found: set[Digest] = set()
        for some in _batches(chains):
            query = select(table.c.id).join(stacks, stacks.c.owner == table.c.id)
            found.update(self.connection.scalars(query.where(stacks.c.chain_id.in_(some), condition)))
        return found

    def _write_size(self, image: Digest) -> None:
        self.connection.execute(_WRITE_SIZE, {"image": image, "owner": image.encoded})


def recount(connection: Connection) -> None:
    """Count all images anew, from the tables that the counts follow from."""
    table = schema.summaries
    connection.execute(delete(schema.chains))
    connection.execute(update(table).values(counted=False, shared_size=0))
    Sharing(connection).settle(list(connection.scalars(select(table.c.id))))


def layers_size(connection: Connection) -> int:
    """Return the bytes of all layers of the images that are counted, each stack's highest layer once."""
    return int(connection.execute(select(func.coalesce(func.sum(schema.chains.c.size), 0))).scalar_one())


def _passing(before: Counter[Digest], after: dict[Digest, int], bound: int) -> list[Digest]:
    return [chain for chain, count in after.items() if (before[chain] >= bound) != (count >= bound)]


def _batches(chains: Sequence[Digest]) -> Iterator[Sequence[Digest]]:
    # A statement takes only so many values.
    for start in range(0, len(chains), _AT_ONCE):
        yield chains[start : start + _AT_ONCE]
