"""What happened to images, for those who want to know: `docker events`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Happening"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that was done, at `time_ns` since 1970, in the engine's own words.

    `id` is what the engine gives as the actor: an image's id with `sha256:`, or the name it was asked for by; "" for a
    prune.
    """

    type: Literal["image", "builder", "container"]
    action: str
    id: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    time_ns: int
