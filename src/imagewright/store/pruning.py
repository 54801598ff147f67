"""Removing images that nothing needs.

The rules are those of daemon/images/image_prune.go in https://github.com/moby/moby, seen at work in version 20.10.
"""

from contextlib import suppress
from dataclasses import dataclass

from imagewright.errors import Conflict
from imagewright.store.catalogue import Catalogue
from imagewright.store.listing import Entry, has_labels
from imagewright.store.removal import ImageRemoval
from imagewright.store.summaries import Change
from imagewright.store.values import Pruned

__all__ = ["Pruning", "prune"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """Which images to remove: those without a tag, or with `dangling` False any.

    All conditions must hold: every one of `labels` (`key` or `key=value`), not every one of `unlabelled`, not created
    after `until_ns`, not used for `unused_for_ns`; times in nanoseconds, None for no such condition.
    """

    dangling: bool = True
    labels: tuple[str, ...] = ()
    unlabelled: tuple[str, ...] = ()
    until_ns: int | None = None
    unused_for_ns: int | None = None

    def admits(self, entry: Entry, now_ns: int) -> bool:
        """Whether the image of `entry` is one of them at the time `now_ns`."""
        image = entry.summary
        return (
            not (self.dangling and image.tags)
            and (self.until_ns is None or image.created_ns <= self.until_ns)
            and (self.unused_for_ns is None or image.last_used_ns <= now_ns - self.unused_for_ns)
            and has_labels(image, self.labels)
            and not (self.unlabelled and has_labels(image, self.unlabelled))
        )


def prune(change: Change, catalogue: Catalogue, pruning: Pruning, *, now_ns: int) -> Pruned:
    """Remove what `pruning` selects of the images in `catalogue`, the newest first, in the transaction of `change`.

    An image that somebody needs stays, and keeps its last name if that is a container.
    """
    removal = ImageRemoval(change, force=False, prune_parents=True)
    for entry in catalogue.heads(named_parents=not pruning.dangling):
        if not pruning.admits(entry, now_ns):
            continue
        image = entry.summary.id
        with suppress(Conflict):
            if not entry.names:
                removal.remove_by_id(image)
            for name in entry.names:
                # Digests go with the last tag of their repository.
                if name in removal.references(image):
                    removal.remove_by_name(image, name.familiar)
    return Pruned(removals=tuple(removal.removals), space_reclaimed=removal.freed_size)
