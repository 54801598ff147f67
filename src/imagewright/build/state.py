"""Where a stage stands: the image that its steps so far have made."""

from dataclasses import dataclass

import msgspec

from imagewright.oci import Digest, History, ImageConfig, Platform, RootfsConfig, format_time
from imagewright.plan import Node

__all__ = ["State", "advance", "start"]


@dataclass(frozen=True, slots=True)
class State:
    """The configuration so far, and the image that holds it; None for scratch, which is no image.

    `platform` is what the stage's FROM asks for, None where it does not.
    """

    config: ImageConfig
    image: Digest | None
    platform: Platform | None = None

    @property
    def diff_ids(self) -> tuple[Digest, ...]:
        """The layers, lowest first."""
        return self.config.diff_ids


def start(platform: Platform) -> State:
    """Return where FROM scratch begins."""
    return State(ImageConfig(architecture=platform.architecture, os=platform.os, variant=platform.variant), None)


def advance(
    parent: ImageConfig, node: Node, *, created_ns: int, diff_id: Digest | None, created_by: str, comment: str = ""
) -> ImageConfig:
    """Return the configuration after `node`: one history entry more, and a layer more unless `diff_id` is None."""
    created = format_time(created_ns)
    entry = History(
        created=created,
        author=node.author,
        created_by=created_by,
        comment=comment,
        empty_layer=diff_id is None,
    )
    diff_ids = parent.rootfs.diff_ids or ()
    return msgspec.structs.replace(
        parent,
        config=node.config,
        author=node.author,
        created=created,
        comment=comment,
        history=(*(parent.history or ()), entry),
        rootfs=RootfsConfig(diff_ids=diff_ids if diff_id is None else (*diff_ids, str(diff_id))),
    )
