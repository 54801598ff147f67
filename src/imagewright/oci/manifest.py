"""Manifests, indexes and the descriptors in them.

https://github.com/opencontainers/image-spec/blob/main/manifest.md and image-index.md; Docker's own version 2 schema 2
documents have the same shape under other media types.
"""

from typing import Any, TypeVar

import msgspec

from imagewright.errors import InvalidInput
from imagewright.oci.digest import Digest

__all__ = ["Descriptor", "Index", "Manifest", "encode_document", "parse_index", "parse_manifest"]

_T = TypeVar("_T")


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A typed pointer to bytes; `size` in bytes."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    platform: dict[str, Any] | None = None
    artifact_type: str = ""

    @property
    def address(self) -> Digest:
        """The digest as a value; raises `InvalidInput` if it is not a sha256 digest."""
        return Digest.parse(self.digest)


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An image for one platform: its configuration and its layers, lowest first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Several manifests, for several platforms or of several names."""

    manifests: tuple[Descriptor, ...]
    schema_version: int = msgspec.field(default=0)
    media_type: str = ""
    annotations: dict[str, str] = {}


def parse_manifest(data: bytes) -> Manifest:
    """Return the manifest that `data` encodes; raise `InvalidInput` where it is none."""
    return _parse(data, Manifest, "manifest")


def parse_index(data: bytes) -> Index:
    """Return the index that `data` encodes; raise `InvalidInput` where it is none."""
    return _parse(data, Index, "index")


def encode_document(document: Manifest | Index) -> bytes:
    """Return the JSON of a manifest or an index, in the order of the specification's examples."""
    return msgspec.json.encode(document)


def _parse(data: bytes, kind: type[_T], noun: str) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidInput(f"invalid image {noun}: {error}") from error
