"""Images: adding, naming, looking at them."""

from collections.abc import Callable, Iterator, Sequence

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite

from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Digest, ImageConfig, parse_config, parse_time
from imagewright.reference import Reference
from imagewright.store import schema
from imagewright.store.catalogue import stored_name
from imagewright.store.database import Database
from imagewright.store.layers import Layers
from imagewright.store.stacks import hold
from imagewright.store.summaries import Summaries
from imagewright.store.values import HistoryItem, StoredImage

__all__ = ["Images"]

_IMAGE: BindParameter[Digest] = bindparam("image", type_=schema.images.c.id.type)
_PARENT = select(schema.images.c.parent).where(schema.images.c.id == _IMAGE)


class Images:
    """The images of the store. Thread-safe; every method that changes something does it in one transaction."""

    def __init__(self, database: Database, layers: Layers, summaries: Summaries, clock: Callable[[], int]) -> None:
        self._database = database
        self._layers = layers
        self._summaries = summaries
        self._clock = clock

    def add(self, data: bytes, parent: Digest | None, references: Sequence[Reference], *, stamp: bool) -> Digest:
        """Keep the image with the configuration `data`, and give it the names `references`, whoever had them before.

        With `stamp` names are dated. Idempotent; an image that is here keeps its parent, if it has one. Durable if
        there are references. Raises
        `NotFound` if a layer or the parent is missing, and `InvalidInput` if `data` is no configuration.
        """
        image = Digest.of(data)
        if not references and self._is_known(image, parent):
            # So it is with every step of a build that is in the cache: no reason to write anything now.
            self._summaries.uses.note(image, write=False)
            return image
        config = parse_config(data)
        with self._summaries.changing(durable=bool(references)) as change:
            connection = change.connection
            found = connection.execute(_PARENT, {"image": image}).first()
            if found is None:
                self._insert(connection, image, data, config, parent)
                change.recounted.add(image)
            else:
                change.touched.add(image)
                change.used.add(image)
                if parent is not None and found.parent is None:
                    _set_parent(connection, image, parent)
            if parent is not None and (found is None or found.parent is None):
                change.recounted.add(parent)
            for reference in references:
                change.touched.update(self._name(connection, image, reference, stamp=stamp))
        return image

    def _is_known(self, image: Digest, parent: Digest | None) -> bool:
        """Whether the image is here, and has a parent if it is to have one."""
        entry = self._summaries.catalogue.find_entry(image)
        return entry is not None and (parent is None or entry.summary.parent is not None)

    def _insert(
        self, connection: Connection, image: Digest, data: bytes, config: ImageConfig, parent: Digest | None
    ) -> None:
        created_ns = parse_time(config.created) if config.created else 0
        # Nothing descends from what is not here, so this parent does not.
        if parent is not None and connection.execute(_PARENT, {"image": parent}).first() is None:
            raise NotFound(f"No such image: {parent}")
        diff_ids = config.diff_ids
        size = sum(self._layers.facts(diff_id).size for diff_id in diff_ids)
        row = {"id": image, "parent": parent, "created_ns": created_ns, "size": size}
        connection.execute(insert(schema.images).values(**row, config=data, tagged_ns=0))
        connection.execute(insert(schema.summaries).values(**row, names=[], labels=config.run.labels, containers=0))
        connection.execute(insert(schema.uses).values(id=image, last_used_ns=self._clock()))
        hold(connection, image.encoded, diff_ids)

    def _name(self, connection: Connection, image: Digest, reference: Reference, *, stamp: bool) -> set[Digest]:
        """Let `reference` name `image`, with `stamp` as of now; return the images whose names that changes."""
        if reference.familiar_name == "sha256":
            raise InvalidInput("refusing to create an ambiguous tag using digest algorithm as name")
        name = stored_name(reference)
        table = schema.references
        before = connection.scalar(select(table.c.image).where(table.c.name == name))
        row = sqlite.insert(table).values(name=name, image=image)
        connection.execute(row.on_conflict_do_update(index_elements=[table.c.name], set_={"image": image}))
        if stamp and reference.digest is None:
            connection.execute(update(schema.images).where(schema.images.c.id == image).values(tagged_ns=self._clock()))
        return {image} if before is None else {image, before}

    def tag(self, image: Digest, reference: Reference) -> None:
        """Let `reference` name `image`, whatever it named before; durable. Raises `NotFound` and `InvalidInput`."""
        if reference.digest is not None:
            raise InvalidInput("refusing to create a tag with a digest reference")
        with self._summaries.changing(durable=True) as change:
            if change.connection.scalar(select(schema.images.c.id).where(schema.images.c.id == image)) is None:
                raise NotFound(f"No such image: {image}")
            change.touched.update(self._name(change.connection, image, reference, stamp=True))
            change.used.add(image)

    def untag(self, reference: Reference) -> None:
        """Take the name `reference` away from its image, which stays; durable. Raises `NotFound`."""
        name = stored_name(reference)
        table = schema.references
        with self._summaries.changing(durable=True) as change:
            image = change.connection.scalar(select(table.c.image).where(table.c.name == name))
            if image is None:
                raise NotFound(f"No such image: {reference.with_default_tag().familiar}")
            change.connection.execute(delete(table).where(table.c.name == name))
            change.touched.add(image)

    def get(self, image: Digest) -> StoredImage:
        """Return the image; raise `NotFound`."""
        table = schema.images
        with self._database.read() as connection:
            row = connection.execute(
                select(table.c.config, table.c.parent, table.c.created_ns, table.c.size, table.c.tagged_ns).where(
                    table.c.id == image
                )
            ).first()
            names = connection.scalars(select(schema.references.c.name).where(schema.references.c.image == image))
            references = sorted(Reference.parse(name) for name in names)
        entry = self._summaries.catalogue.find_entry(image)
        if row is None or entry is None:
            raise NotFound(f"No such image: {image}")
        return StoredImage(
            id=image,
            config_bytes=row.config,
            config=parse_config(row.config),
            parent=row.parent,
            created_ns=row.created_ns,
            size=row.size,
            tags=tuple(reference for reference in references if reference.digest is None),
            digests=tuple(reference for reference in references if reference.digest is not None),
            tagged_ns=row.tagged_ns,
            last_used_ns=entry.summary.last_used_ns,
        )

    def history(self, image: Digest) -> list[HistoryItem]:
        """Return the steps in the making of the image, newest first; raise `NotFound`.

        A step has an id as far as the chain of parents goes, one parent for each step.
        """
        stored = self.get(image)
        sizes = iter([self._layers.facts(diff_id).size for diff_id in stored.config.diff_ids])
        steps = [(step, 0 if step.empty_layer else next(sizes, 0)) for step in stored.config.history or ()]
        lineage = self._lineage(image)
        items = []
        for step, size in reversed(steps):
            step_image = next(lineage, None)
            entry = self._summaries.catalogue.find_entry(step_image) if step_image is not None else None
            items.append(
                HistoryItem(
                    id=step_image,
                    created_ns=_time(step.created),
                    created_by=step.created_by,
                    comment=step.comment,
                    size=size,
                    tags=entry.summary.tags if entry is not None else (),
                )
            )
        return items

    def _lineage(self, image: Digest | None) -> Iterator[Digest]:
        """Yield `image`, its parent, and so on."""
        while image is not None:
            yield image
            entry = self._summaries.catalogue.find_entry(image)
            image = entry.summary.parent if entry is not None else None


def _set_parent(connection: Connection, image: Digest, parent: Digest) -> None:
    """Record `parent`, unless it descends from `image` itself: lists and removals walk along parents."""
    table = schema.images
    ancestor: Digest | None = parent
    while ancestor is not None:
        if ancestor == image:
            return
        row = connection.execute(_PARENT, {"image": ancestor}).first()
        if row is None:
            raise NotFound(f"No such image: {ancestor}")
        ancestor = row.parent
    connection.execute(update(table).where(table.c.id == image).values(parent=parent))
    connection.execute(update(schema.summaries).where(schema.summaries.c.id == image).values(parent=parent))


def _time(text: str | None) -> int:
    """Return a time of the history, 0 where it says none that can be read: nobody checks histories."""
    try:
        return parse_time(text) if text else 0
    except InvalidInput:
        return 0
