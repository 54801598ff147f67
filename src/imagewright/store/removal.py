"""Removing images as the engine does.

The rules are those of daemon/images/image_delete.go in https://github.com/moby/moby, seen at work in version 20.10. All
containers here are stopped ones: a running RUN holds its layers by a lease.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, select

from imagewright.errors import Conflict
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store import schema
from imagewright.store.catalogue import stored_name
from imagewright.store.summaries import Change
from imagewright.store.values import Removal

__all__ = ["ImageRemoval"]


@dataclass(slots=True)
class ImageRemoval:
    """Removals in the transaction of `change`; `removals` are what was done.

    Raises `Conflict` where the rules forbid something; nothing of that is done then. `freed_size` counts the bytes of
    the contents of the layers that went.
    """

    change: Change
    force: bool
    prune_parents: bool
    removals: list[Removal] = field(default_factory=list)
    freed_size: int = 0

    @property
    def connection(self) -> Connection:
        """Where the transaction is at."""
        return self.change.connection

    def remove(self, image: Digest, name: str) -> None:
        """Remove what `name` means, by which `image` was found: one of its names, or by its id the image itself.

        An image goes with its last name; its parents go with it if nothing else needs them.
        """
        if _is_id(name, image):
            self.remove_by_id(image)
        else:
            self.remove_by_name(image, name)

    def remove_by_id(self, image: Digest) -> None:
        """Delete `image` with all its names."""
        references = self.references(image)
        if self._has_children(image):
            raise _conflict(image, "cannot be forced", "image has dependent child images")
        if not self.force:
            # Names that are all of one repository are no conflict: the id then says the same as the name.
            if references and not _is_single(references):
                raise _conflict(image, "must be forced", "image is referenced in multiple repositories")
            container = self._container(image)
            if container is not None:
                raise _conflict(image, "must be forced", f"image is being used by stopped container {container[:12]}")
        self._delete(image)

    def remove_by_name(self, image: Digest, name: str) -> None:
        """Take `name` away from `image`, and delete it if that was the last."""
        container = None if self.force else self._container(image)
        if container is not None and _is_single(self.references(image)):
            raise Conflict(
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{container[:12]} is using its referenced image {image.short}"
            )
        reference = Reference.parse(name).with_default_tag()
        self._untag(image, reference)
        left = self.references(image)
        if reference.digest is None:
            same = [other for other in left if other.name == reference.name]
            if all(other.digest is not None for other in same):
                # Digests alone do not keep an image in a repository whose last tag has gone.
                for other in same:
                    self._untag(image, other)
                left = [other for other in left if other not in same]
        if not left and container is None and not self._has_children(image):
            self._delete(image)

    def _delete(self, image: Digest) -> None:
        """Delete `image` with its names, and then, as long as nothing needs them, its parents."""
        for reference in self.references(image):
            self._untag(image, reference)
        current: Digest | None = image
        while current is not None:
            parent = self.connection.scalar(select(schema.images.c.parent).where(schema.images.c.id == current))
            freed = self.change.remove(current)
            self.removals.append(Removal(deleted=current, image=current))
            self.removals += [Removal(deleted=layer.chain_id) for layer in freed]
            self.freed_size += sum(layer.size for layer in freed)
            current = parent if self.prune_parents and parent is not None and not self._is_needed(parent) else None

    def _untag(self, image: Digest, reference: Reference) -> None:
        table = schema.references
        self.connection.execute(delete(table).where(table.c.name == stored_name(reference)))
        self.change.touched.add(image)
        self.removals.append(Removal(untagged=reference.familiar, image=image))

    def _is_needed(self, image: Digest) -> bool:
        return bool(self._has_children(image) or self.references(image) or self._container(image))

    def references(self, image: Digest) -> list[Reference]:
        """Return the names that `image` has now, in order."""
        table = schema.references
        names = self.connection.scalars(select(table.c.name).where(table.c.image == image))
        return sorted(Reference.parse(name) for name in names)

    def _has_children(self, image: Digest) -> bool:
        table = schema.images
        return self.connection.scalar(select(table.c.id).where(table.c.parent == image).limit(1)) is not None

    def _container(self, image: Digest) -> str | None:
        """Return the id of a container that was made from `image`, the newest of them."""
        table = schema.containers
        found = self.connection.execute(select(table.c.id, table.c.created_ns).where(table.c.image == image))
        newest = max(found, key=lambda row: row.created_ns, default=None)
        return None if newest is None else str(newest.id)


def _is_id(name: str, image: Digest) -> bool:
    return image.encoded.startswith(name) or str(image).startswith(name)


def _is_single(references: list[Reference]) -> bool:
    """Whether `references` are all of one repository, with at most one tag among them."""
    tags = sum(reference.digest is None for reference in references)
    return tags <= 1 and len({reference.name for reference in references}) == 1


def _conflict(image: Digest, remedy: str, reason: str) -> Conflict:
    return Conflict(f"conflict: unable to delete {image.short} ({remedy}) - {reason}")
