"""Squashing: one layer in place of all those that a build put on top of its base."""

import msgspec

from imagewright.build.state import State
from imagewright.filesystem import EMPTY, diff
from imagewright.oci import Digest, History, ImageConfig, RootfsConfig, encode_config
from imagewright.plan import Continue, Image, Plan, Scratch
from imagewright.store import Store

__all__ = ["squash", "start_of"]


def squash(store: Store, base: State, result: State) -> Digest:
    """Return a new image with the files and the configuration of `result`, and at most one layer more than `base` has.

    The history tells all steps, and how they became one. Idempotent: equal arguments give the same image. Both images
    have to be held by a lease.
    """
    if result.image is None:
        raise ValueError("there is no image to squash")
    layer = diff(store.tree(base.diff_ids) if base.diff_ids else EMPTY, store.tree(result.diff_ids))
    # The engine fails where there is nothing to merge.
    diff_id = store.add_layer(layer) if layer.changes else None
    config = _squashed(base, result.config, diff_id, comment=_comment(base, result.image))
    return store.add_image(encode_config(config))


def start_of(plan: Plan, index: int) -> int:
    """Return the node that begins the stage which node `index` is in."""
    while not isinstance(plan.nodes[index].op, Scratch | Image | Continue):
        index = plan.nodes[index].inputs[0]
    return index


def _comment(base: State, image: Digest) -> str:
    return f"create new from {image}" if base.image is None else f"merge {image} to {base.image}"


def _squashed(base: State, config: ImageConfig, diff_id: Digest | None, *, comment: str) -> ImageConfig:
    history = config.history or ()
    kept = len(base.config.history or ())
    # Not the time of squashing: squashing the same image again should give the same image again.
    made = History(created=config.created, comment=comment, empty_layer=diff_id is None)
    return msgspec.structs.replace(
        config,
        comment=comment,
        history=(
            *history[:kept],
            *(msgspec.structs.replace(entry, empty_layer=True) for entry in history[kept:]),
            made,
        ),
        rootfs=RootfsConfig(diff_ids=tuple(map(str, base.diff_ids if diff_id is None else (*base.diff_ids, diff_id)))),
    )
