"""Dockerfile instructions as a graph of ops: pure, and complete before anything runs.

`compile` turns a parsed Dockerfile into a `Plan`. Its nodes stand in source order, each with the op to carry out, the
nodes it builds on, and the run configuration that its image has afterwards.
"""

from imagewright.plan.changes import apply_changes
from imagewright.plan.compilation import Resolve, compile  # noqa: A004 - the name of the verb in this field
from imagewright.plan.graph import Base, Node, Plan, Step
from imagewright.plan.mounts import RunMount
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
    RunCommand,
    Scratch,
)

__all__ = [
    "AddFiles",
    "Base",
    "Configure",
    "Continue",
    "CopyFiles",
    "Document",
    "Fail",
    "Image",
    "MakeDirectory",
    "Node",
    "Op",
    "Plan",
    "Resolve",
    "RunCommand",
    "RunMount",
    "Scratch",
    "Step",
    "apply_changes",
    "compile",
]
