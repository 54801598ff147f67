"""The compact form of a layer that a store keeps beside its bytes."""

from collections.abc import Callable

from imagewright.filesystem.layer import Layer

__all__ = ["decode_index", "encode_index"]


def encode_index(layer: Layer, rename: Callable[[str], str]) -> bytes:
    """Return `layer` as bytes; extents keep the name that `rename` gives for their path.

    A store passes a function that turns the path of a spool into a short name ("tar"), or a path below a directory
    form into one relative to it ("fs/etc/passwd"), so that the index outlives renames. Called once for each path.
    """
    raise NotImplementedError


def decode_index(data: bytes, locate: Callable[[str], str]) -> Layer:
    """Return the layer that `encode_index` made `data` of; `locate` turns an extent's name into a path again.

    Raises `Corrupt` for anything else. Hard links share their node again.
    """
    raise NotImplementedError
