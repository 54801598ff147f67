"""Manifests and indexes as registries send them: told apart, and one chosen for a platform."""

from dataclasses import dataclass
from typing import Any

import msgspec

from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Descriptor, Digest, Index, Manifest, Platform, parse_index, parse_manifest

__all__ = ["INDEX_TYPES", "MANIFEST_TYPES", "Received", "is_for", "read_document", "select_manifest"]

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)

# What else a machine runs, best first, as in https://github.com/containerd/platforms (compare.go).
_ARM_VARIANTS = ("v8", "v7", "v6", "v5")
_ARM_DEFAULT = "v7"
_AMD64_LEVELS = ("v4", "v3", "v2", "")


@dataclass(frozen=True, slots=True)
class Received:
    """A manifest or an index as it came; `data` has `digest`."""

    media_type: str
    digest: Digest
    data: bytes


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """The keys by which the kinds of documents are told apart."""

    schema_version: int = 0
    media_type: str = ""
    manifests: Any = None
    config: Any = None
    layers: Any = None
    fs_layers: Any = None


def read_document(received: Received) -> Manifest | Index:
    """Return what `received` holds.

    Raises `InvalidInput` for a document that is neither or could be read as both, or that contradicts the type under
    which it came (https://github.com/advisories/GHSA-mc8v-mgrf-8f4m), and `Unsupported` for schema 1 and other kinds.
    """
    try:
        shape = msgspec.json.decode(received.data, type=_Shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid image manifest: {error}") from error
    sent = received.media_type.partition(";")[0].strip().lower()
    if shape.schema_version == 1 or shape.fs_layers is not None:
        raise Unsupported(
            "images of manifest schema version 1 are not supported: push the image again from a newer Docker"
        )
    if shape.manifests is not None and (shape.config is not None or shape.layers is not None):
        raise InvalidInput("invalid image manifest: it is a manifest and an index at once")
    known = {*MANIFEST_TYPES, *INDEX_TYPES}
    if sent in known and shape.media_type and shape.media_type != sent:
        raise InvalidInput(f"invalid image manifest: sent as {sent}, but says {shape.media_type[:100]!r} of itself")
    kind = sent if sent in known else shape.media_type
    if kind and kind not in known:
        raise Unsupported(f"unsupported manifest media type {kind[:100]!r}")
    if (kind in INDEX_TYPES) if kind else shape.manifests is not None:
        return parse_index(received.data)
    return parse_manifest(received.data)


def select_manifest(index: Index, platform: Platform) -> Descriptor:
    """Return the manifest of `index` for `platform`: of several the best variant, of equals the first.

    Raises `NotFound`, in the engine's words, where there is none.
    """
    wanted = _variants(platform)
    best: tuple[int, Descriptor] | None = None
    for descriptor in index.manifests:
        found = descriptor.platform or {}
        if descriptor.media_type in INDEX_TYPES or not _same_machine(found, platform):
            continue
        variant = _normal_variant(platform.architecture, str(found.get("variant") or ""))
        if variant in wanted and (best is None or wanted.index(variant) < best[0]):
            best = wanted.index(variant), descriptor
    if best is None:
        raise NotFound(f"no matching manifest for {platform} in the manifest list entries")
    return best[1]


def is_for(found: Platform, platform: Platform) -> bool:
    """Tell whether an image for `found` is one for `platform`; one that says nothing of its machine is for any."""
    known = {"os": found.os or platform.os, "architecture": found.architecture or platform.architecture}
    variant = _normal_variant(platform.architecture, found.variant)
    return _same_machine(known, platform) and (not found.architecture or variant in _variants(platform))


def _same_machine(found: dict[str, Any], platform: Platform) -> bool:
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(
        str(found.get("architecture")), found.get("architecture")
    )
    return found.get("os") == platform.os and architecture == platform.architecture


def _normal_variant(architecture: str, variant: str) -> str:
    if architecture == "arm":
        return variant or _ARM_DEFAULT
    if (architecture, variant) in {("arm64", "v8"), ("arm64", "8"), ("amd64", "v1")}:
        return ""
    return variant


def _variants(platform: Platform) -> tuple[str, ...]:
    variant = _normal_variant(platform.architecture, platform.variant)
    ladder = {"arm": _ARM_VARIANTS, "amd64": _AMD64_LEVELS}.get(platform.architecture, (variant, ""))
    return ladder[ladder.index(variant) :] if variant in ladder else (variant,)
