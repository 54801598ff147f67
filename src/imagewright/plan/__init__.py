"""Dockerfile instructions as a graph of ops: pure, and independent of what running them comes to.

`compile` turns a parsed Dockerfile into a `Plan`, and `Compilation` does so bit by bit. The nodes stand in source
order, each with the op to carry out, the nodes it builds on, and the configuration that its image has afterwards.
"""

from imagewright.plan.changes import apply_changes
from imagewright.plan.compilation import Compilation, compile  # noqa: A004 - the name of the verb in this field
from imagewright.plan.graph import Base, Node, Place, Plan, Step
from imagewright.plan.mounts import RunMount, plan_mounts
from imagewright.plan.ops import (
    AddFiles,
    Configure,
    Continue,
    CopyFiles,
    Document,
    Fail,
    Image,
    MakeDirectory,
    Op,
    Remote,
    RunCommand,
    Scratch,
)
from imagewright.plan.stages import Resolve

__all__ = [
    "AddFiles",
    "Base",
    "Compilation",
    "Configure",
    "Continue",
    "CopyFiles",
    "Document",
    "Fail",
    "Image",
    "MakeDirectory",
    "Node",
    "Op",
    "Place",
    "Plan",
    "Remote",
    "Resolve",
    "RunCommand",
    "RunMount",
    "Scratch",
    "Step",
    "apply_changes",
    "compile",
    "plan_mounts",
]
