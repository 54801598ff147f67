"""Progress of a build or a transfer, as values.

Whoever works calls a `Reporter` with events; whoever listens turns them into JSON messages, a progress bar, or nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from imagewright.oci import Digest

__all__ = [
    "BuildWarning",
    "Built",
    "CacheHit",
    "CacheMiss",
    "ContainerRemoved",
    "ContainerStarted",
    "Event",
    "Output",
    "Reporter",
    "Squashed",
    "StageFinished",
    "Status",
    "StepFinished",
    "StepStarted",
    "Tagged",
    "TriggersStarted",
    "ignore",
]


@dataclass(frozen=True, slots=True)
class StepStarted:
    """Step `number` of `total` (both 1-based) begins; `text` is the logical line, variables not expanded."""

    number: int
    total: int
    text: str


@dataclass(frozen=True, slots=True)
class CacheHit:
    """The step's result was taken from the cache."""


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """The step is not in the cache, for `reason`; told only to who wants to know."""

    reason: str


@dataclass(frozen=True, slots=True)
class TriggersStarted:
    """A FROM is about to carry out `count` ONBUILD instructions of its base."""

    count: int


@dataclass(frozen=True, slots=True)
class ContainerStarted:
    """An intermediate container runs the step; `container` is its 64-hex id."""

    container: str


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a RUN wrote, as it came: a piece may hold several lines or part of one."""

    channel: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class ContainerRemoved:
    """The step's intermediate container is gone."""

    container: str


@dataclass(frozen=True, slots=True)
class StepFinished:
    """The step is done; `image` is the intermediate image, None for FROM scratch."""

    image: Digest | None


@dataclass(frozen=True, slots=True)
class StageFinished:
    """The last step of a stage is done, with `image` as its result."""

    image: Digest


@dataclass(frozen=True, slots=True)
class Squashed:
    """The layers that the build made became one, in `image`."""

    image: Digest


@dataclass(frozen=True, slots=True)
class Built:
    """The build is done, with `image` as its result."""

    image: Digest


@dataclass(frozen=True, slots=True)
class Tagged:
    """`name` (familiar, with its tag) now names the result."""

    name: str


@dataclass(frozen=True, slots=True)
class BuildWarning:
    """Something to tell the author of the Dockerfile, which did not stop the build."""

    message: str


@dataclass(frozen=True, slots=True)
class Status:
    """A transfer or a long job says where it is; `current` and `total` in bytes, None where unknown."""

    message: str
    subject: str = ""
    current: int | None = None
    total: int | None = None
    extra: dict[str, object] = field(default_factory=dict)


Event = (
    StepStarted
    | CacheHit
    | CacheMiss
    | TriggersStarted
    | ContainerStarted
    | Output
    | ContainerRemoved
    | StepFinished
    | StageFinished
    | Squashed
    | Built
    | Tagged
    | BuildWarning
    | Status
)

Reporter = Callable[[Event], None]


def ignore(_event: Event) -> None:
    """A reporter that listens to nothing."""
