"""Filesystem states and changes to them, as values: the core of COPY, ADD, WORKDIR and the capture of RUN."""

from imagewright.filesystem.accounts import Accounts, User
from imagewright.filesystem.copying import CopyRequest, copy, place, workdir_layer
from imagewright.filesystem.difference import diff
from imagewright.filesystem.fold import apply
from imagewright.filesystem.ignore import IgnorePatterns
from imagewright.filesystem.layer import Change, Layer, Opaque, Put, Whiteout, arrange
from imagewright.filesystem.links import resolve
from imagewright.filesystem.modes import ModeChange, parse_mode
from imagewright.filesystem.patterns import matches
from imagewright.filesystem.selection import Selected, digest_selection, select
from imagewright.filesystem.tree import (
    EMPTY,
    Content,
    Device,
    Directory,
    Extent,
    Fifo,
    File,
    Node,
    Symlink,
    Tree,
    find,
    walk,
)

__all__ = [
    "EMPTY",
    "Accounts",
    "Change",
    "Content",
    "CopyRequest",
    "Device",
    "Directory",
    "Extent",
    "Fifo",
    "File",
    "IgnorePatterns",
    "Layer",
    "ModeChange",
    "Node",
    "Opaque",
    "Put",
    "Selected",
    "Symlink",
    "Tree",
    "User",
    "Whiteout",
    "apply",
    "arrange",
    "copy",
    "diff",
    "digest_selection",
    "find",
    "matches",
    "parse_mode",
    "place",
    "resolve",
    "select",
    "walk",
    "workdir_layer",
]
