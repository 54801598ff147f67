"""Dockerfiles: text becomes typed instructions.

`parse` reads a file into stages; `expand` replaces the variables in an instruction's words when their values are known.
https://docs.docker.com/reference/dockerfile/.
"""

from imagewright.dockerfile.expansion import LARGEST_EXPANSION, expand, expand_document, expand_words
from imagewright.dockerfile.instructions import (
    Add,
    Arg,
    Cmd,
    Command,
    Copy,
    Dockerfile,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Heredoc,
    Instruction,
    Label,
    Maintainer,
    OnBuild,
    Run,
    Shell,
    Span,
    Stage,
    StopSignal,
    User,
    Volume,
    Workdir,
)
from imagewright.dockerfile.mounts import MountFlag, MountKind, Sharing, check_mount, parse_mount
from imagewright.dockerfile.parser import parse, parse_changes, parse_instruction

__all__ = [
    "LARGEST_EXPANSION",
    "Add",
    "Arg",
    "Cmd",
    "Command",
    "Copy",
    "Dockerfile",
    "Entrypoint",
    "Env",
    "Expose",
    "From",
    "Healthcheck",
    "Heredoc",
    "Instruction",
    "Label",
    "Maintainer",
    "MountFlag",
    "MountKind",
    "OnBuild",
    "Run",
    "Sharing",
    "Shell",
    "Span",
    "Stage",
    "StopSignal",
    "User",
    "Volume",
    "Workdir",
    "check_mount",
    "expand",
    "expand_document",
    "expand_words",
    "parse",
    "parse_changes",
    "parse_instruction",
    "parse_mount",
]
