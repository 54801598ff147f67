"""Images that a build may take steps from because whoever asked for it named them: `cachefrom`.

An image says of itself how it was made, and nobody else can vouch for it: so no other image is believed, and this one
only for the same step on the same parent. Nothing that is found here is recorded as built here. See
docs/decisions/0005-cache-from.md.
"""

from collections.abc import Sequence

from imagewright.build.request import Network
from imagewright.errors import InvalidInput
from imagewright.oci import Digest, History, ImageConfig, RunConfig, format_time, parse_time
from imagewright.plan import AddFiles, Configure, CopyFiles, MakeDirectory, Node, Op, RunCommand
from imagewright.store import Record

__all__ = ["ImportedCache"]

_NOP = "#(nop) "


class ImportedCache:
    """The steps of `images`, in which a build for the network mode `network` may find its own; the first counts."""

    def __init__(self, images: Sequence[ImageConfig] = (), *, network: Network = "default") -> None:
        self._images = tuple(images)
        self._network: Network = network

    def find(self, node: Node, parent: ImageConfig, created_by: str) -> Record | None:
        """Return what `node`, whose history entry is `created_by`, comes to on `parent`, if one of the images shows it.

        It does where its layers and its history begin with those of `parent`, entry by entry and to the nanosecond,
        and go on with this step. The record has no leaves: it is not to be kept.
        """
        if not self._images or not _is_told_by_text(node.op, self._network):
            return None
        return next(filter(None, (_find(image, node, parent, created_by) for image in self._images)), None)


def _is_told_by_text(op: Op, network: Network) -> bool:
    """Return whether the text of the history names all that the result of `op` depends on, its parent aside."""
    match op:
        case RunCommand():
            confined = network == "default" and not (op.network or op.insecure)
            return op.script is None and not op.mounts and confined
        case CopyFiles():
            return op.chmod is None and not (op.parents or op.link)
        case AddFiles():
            return op.chmod is None and op.unpack is None and not op.link
        case Configure() | MakeDirectory():
            return True
    return False


def _find(image: ImageConfig, node: Node, parent: ImageConfig, created_by: str) -> Record | None:
    if not _begins_with(image, parent):
        return None
    entry, *later = (image.history or ())[len(parent.history or ()) :]
    layers = (image.rootfs.diff_ids or ())[len(parent.rootfs.diff_ids or ()) :]
    try:
        created_ns = parse_time(entry.created or "")
        diff_id = None if entry.empty_layer else Digest.parse(layers[0])
    except InvalidInput:
        return None
    expected = History(
        created=format_time(created_ns), author=node.author, created_by=created_by, empty_layer=entry.empty_layer
    )
    if entry != expected or (isinstance(node.op, Configure) and diff_id is not None):
        return None
    return Record(diff_id=diff_id, created_ns=created_ns) if _agrees(node.config, image.run, later) else None


def _begins_with(image: ImageConfig, parent: ImageConfig) -> bool:
    """Return whether `image` says that it is `parent` and at least one step more, with as many layers as these claim.

    Entries of a history have their times: another base with the same layers is another parent.
    """
    if (image.os, image.architecture, image.variant) != (parent.os, parent.architecture, parent.variant):
        return False
    history, start = image.history or (), parent.history or ()
    diff_ids, below = image.rootfs.diff_ids or (), parent.rootfs.diff_ids or ()
    if len(history) <= len(start) or history[: len(start)] != start or diff_ids[: len(below)] != below:
        return False
    return sum(not entry.empty_layer for entry in history[len(start) :]) == len(diff_ids) - len(below)


def _agrees(config: RunConfig, final: RunConfig, later: Sequence[History]) -> bool:
    """Return whether what a process sees of `config` can have become that of `final` by the steps `later`.

    An image does not keep the configurations in between: this finds one that was made from a base whose layers and
    history are the same, and whose environment, user or working directory are not.
    """
    changes = [entry.created_by.partition(_NOP)[2].strip() for entry in later]

    def changed(keyword: str, text: str = "") -> bool:
        return any(change.startswith(f"{keyword} ") and text in change for change in changes)

    here, there = set(config.env or ()), set(final.env or ())
    return (
        (config.user == final.user or changed("USER"))
        and (config.working_dir == final.working_dir or changed("WORKDIR"))
        and all(changed("ENV", f"{variable.partition('=')[0]}=") for variable in here ^ there)
    )
