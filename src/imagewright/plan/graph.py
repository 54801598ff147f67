"""The graph that a Dockerfile is compiled to."""

from dataclasses import dataclass, field

from imagewright.oci import RunConfig
from imagewright.plan.ops import Base, Op

__all__ = ["SOURCE", "Base", "Node", "Place", "Plan", "Step"]

# Stands where a COPY or ADD has the digest of its sources: a character that no path can hold.
SOURCE = "\0"

_UNSET = RunConfig()


@dataclass(frozen=True, slots=True)
class Step:
    """What the person who builds sees of an instruction: step `number` of `total`, both 1-based, and its text.

    `line` is where it begins in the Dockerfile, 0 for a step that stands in none, and `source` that line.
    """

    number: int
    total: int
    text: str
    line: int = field(default=0, compare=False)
    source: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image is asked for: the index that the next node will have, and the step that it belongs to.

    There is no step for what has none of its own, such as an ONBUILD trigger.
    """

    node: int
    step: Step | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One op at its place.

    `inputs` are indices of earlier nodes: the parent first, then what a COPY copies from. `config` and `author` are
    what the image has after the op. `created_by` is the text of its history entry, "" where it makes none (the start
    of a stage). `step` is told when the op begins; `closes_step` says to tell the image when it is done: a FROM whose
    base has triggers opens a step that the last trigger closes, and `triggers` is their number, on the FROM.
    `last_of_stage` marks the node whose image is the stage's result; a stage that is only FROM scratch has none, and
    neither has one that only a trigger needs, all of which belongs to the trigger's step.
    """

    index: int
    stage: int
    op: Op
    inputs: tuple[int, ...] = ()
    step: Step | None = None
    closes_step: bool = True
    triggers: int = 0
    last_of_stage: bool = False
    config: RunConfig = _UNSET
    author: str = ""
    created_by: str = ""

    def created_by_with(self, source: str) -> str:
        """Return `created_by` with `source` (`file:`, `dir:` or `multi:` and a digest) where a COPY or ADD has it."""
        return self.created_by.replace(SOURCE, source, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The nodes in source order; node `target` makes the result.

    `preamble` are the steps of ARGs before the first FROM: told first, nothing is done for them.
    `unused_build_args` are the names of build args that nothing consumed, sorted. `warnings` are the Dockerfile's.
    """

    nodes: tuple[Node, ...]
    target: int
    preamble: tuple[Step, ...] = ()
    unused_build_args: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
