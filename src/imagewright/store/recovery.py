"""Making the disk and the database agree again, whenever and however the last process ended."""

import os
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects import sqlite

from imagewright.oci import Digest
from imagewright.store import schema
from imagewright.store.database import Database
from imagewright.store.disk import translated
from imagewright.store.layers import LayerFacts, forget_layer, load_facts
from imagewright.store.layout import Layout
from imagewright.store.sharing import recount
from imagewright.store.stacks import free_layers, release

__all__ = ["recover"]


def recover(layout: Layout, database: Database) -> tuple[str, ...]:
    """Remove what is on the disk and not in the database, and what is in the database and not on the disk.

    The first is what an interrupted process had not finished; the second never happens by itself, and is returned in
    words for the log. Layers that neither an image nor a container holds go, too: the leases on them are gone.
    """
    with translated("cannot look through the data root"):
        layout.trash.sweep()
        _remove_strangers(layout, layout.ingest, set())
        with database.write(durable=True) as connection:
            facts = load_facts(connection)
            lost = {diff_id for diff_id, known in facts.items() if not _is_whole(layout, diff_id, known)}
            report = tuple(_give_up(connection, lost)) if lost else ()
            for diff_id in free_layers(connection):
                forget_layer(connection, diff_id)
                facts.pop(diff_id, None)
            compressed = _check_compressed(connection, layout)
            restarted = _note_boot(connection, layout.boot)
        _remove_strangers(layout, layout.layers, {diff_id.encoded for diff_id in facts})
        _remove_strangers(
            layout, layout.blobs, {diff_id.encoded for diff_id, known in facts.items() if known.form == "tar"}
        )
        with database.read() as connection:
            _remove_strangers(layout, layout.logs, set(connection.scalars(select(schema.containers.c.id))))
        for diff_id in facts:
            for digest in layout.list_compressed(diff_id):
                if digest not in compressed:
                    layout.trash.throw(layout.compressed(diff_id, digest))
        for diff_id in facts if restarted else ():
            for path in layout.stale(diff_id):
                layout.trash.throw(path)
    return report


def _is_whole(layout: Layout, diff_id: Digest, facts: LayerFacts) -> bool:
    """Whether what the database knows of a layer is there; bytes are verified by whoever reads them."""
    if not os.path.isfile(layout.index(diff_id)):
        return False
    if facts.form == "directory":
        return os.path.isdir(layout.captured(diff_id))
    try:
        return os.path.getsize(layout.blob(diff_id)) == facts.tar_size
    except FileNotFoundError:
        return False


def _check_compressed(connection: Connection, layout: Layout) -> set[Digest]:
    """Forget the compressed forms that are not whole, without which a layer does well; return the others."""
    table = schema.blobs
    whole = set()
    for row in list(connection.execute(select(table))):
        path = layout.compressed(row.diff_id, row.digest)
        if os.path.isfile(path) and os.path.getsize(path) == row.size:
            whole.add(row.digest)
        else:
            connection.execute(delete(table).where(table.c.digest == row.digest))
    return whole


def _give_up(connection: Connection, lost: Iterable[Digest]) -> Iterator[str]:
    """Take the layers `lost` from the database, with every image and every container that has one of them."""
    stacks, images, references = schema.stacks, schema.images, schema.references
    for diff_id in lost:
        yield f"layer {diff_id} is damaged"
        for owner in list(connection.scalars(select(stacks.c.owner).where(stacks.c.diff_id == diff_id).distinct())):
            image = Digest(owner)
            if connection.scalar(select(images.c.id).where(images.c.id == image)) is not None:
                names = connection.scalars(select(references.c.name).where(references.c.image == image))
                yield f"image {image} is gone with it, {', '.join(names) or 'without a name'}"
            else:
                yield f"container {owner} is gone with it"
            connection.execute(delete(references).where(references.c.image == image))
            connection.execute(delete(schema.manifests).where(schema.manifests.c.image == image))
            for table in (images, schema.summaries, schema.uses):
                connection.execute(delete(table).where(table.c.id == image))
            connection.execute(delete(schema.containers).where(schema.containers.c.id == owner))
            release(connection, owner)
        forget_layer(connection, diff_id)
    for table in (images, schema.summaries):
        orphans = table.c.parent.not_in(select(images.c.id))
        connection.execute(update(table).where(orphans).values(parent=None))
    containers, summaries = schema.containers, schema.summaries
    held = select(func.count()).select_from(containers).where(containers.c.image == summaries.c.id)
    connection.execute(update(summaries).values(containers=held.scalar_subquery()))
    recount(connection)
    counts = schema.properties
    connection.execute(update(counts).where(counts.c.name == "generation").values(value=counts.c.value + 1))


def _note_boot(connection: Connection, boot: str) -> bool:
    """Return whether the machine was started since this was last called."""
    table = schema.properties
    before = connection.scalar(select(table.c.value).where(table.c.name == "boot"))
    now = int(boot[:15], 16)
    row = sqlite.insert(table).values(name="boot", value=now)
    connection.execute(row.on_conflict_do_update(index_elements=[table.c.name], set_={"value": now}))
    return before != now


def _remove_strangers(layout: Layout, directory: str, known: set[str]) -> None:
    for name in os.listdir(directory):
        if name not in known:
            layout.trash.throw(f"{directory}/{name}")
