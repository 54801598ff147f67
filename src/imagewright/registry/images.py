"""From a reference to an image's manifest and configuration."""

import dataclasses
from dataclasses import dataclass

from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, InvalidInput, Unsupported
from imagewright.oci import Descriptor, Digest, ImageConfig, Index, Manifest, Platform, parse_config
from imagewright.reference import Reference
from imagewright.registry.client import Client
from imagewright.registry.documents import Received, read_document, select_manifest

__all__ = ["RemoteImage", "fetch_image"]

_CONFIG_LIMIT = 8 << 20
_LAYER_LIMIT = 16 << 30
_CONFIG_TYPES = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_LAYER_PREFIXES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)


@dataclass(frozen=True, slots=True)
class RemoteImage:
    """An image of one platform in a registry, all but its layers."""

    reference: Reference
    digest: Digest
    """What the reference led to: the index's, if there is one; this is what RepoDigests name."""
    index: Received | None
    received: Received
    """The manifest as it came."""
    manifest: Manifest
    config_bytes: bytes
    config: ImageConfig
    layers: tuple[Descriptor, ...]
    """Lowest first, one for each of `config.diff_ids`."""


def fetch_image(
    client: Client, reference: Reference, platform: Platform, *, cancellation: Cancellation | None = None
) -> RemoteImage:
    """Return the image that `reference` names for `platform`, manifest and configuration verified.

    Raises `NotFound` in the engine's words, `Corrupt`, `InvalidInput` for documents that cannot be right, `Unsupported`
    for kinds that are no container image, and what `Client.get_manifest` raises.
    """
    index = None
    received = client.get_manifest(reference, cancellation=cancellation)
    digest = received.digest
    document = read_document(received)
    if isinstance(document, Index):
        index = received
        chosen = select_manifest(document, platform)
        by_digest = dataclasses.replace(reference, tag="", digest=chosen.address)
        received = client.get_manifest(by_digest, cancellation=cancellation)
        if len(received.data) != chosen.size:
            raise Corrupt(f"manifest {chosen.digest}: {len(received.data)} bytes came, {chosen.size} were promised")
        document = read_document(received)
    if not isinstance(document, Manifest):
        raise InvalidInput("invalid image index: an index within an index is no image")
    _check_manifest(document)
    config_bytes = _fetch_config(client, reference, document.config, cancellation)
    config = parse_config(config_bytes)
    if len(config.diff_ids) != len(document.layers):
        raise InvalidInput(
            f"invalid manifest, layers length mismatch: expected {len(document.layers)}, got {len(config.diff_ids)}"
        )
    return RemoteImage(reference, digest, index, received, document, config_bytes, config, document.layers)


def _check_manifest(manifest: Manifest) -> None:
    if manifest.config.media_type not in _CONFIG_TYPES:
        raise Unsupported(
            f"the name is of no container image: its configuration has the type {manifest.config.media_type[:100]!r}"
        )
    for layer in manifest.layers:
        _ = layer.address
        if not layer.media_type.startswith(_LAYER_PREFIXES):
            raise Unsupported(f"unsupported layer media type {layer.media_type[:100]!r}")
        if not 0 <= layer.size <= _LAYER_LIMIT:
            raise InvalidInput(f"invalid manifest: a layer of {layer.size} bytes")


def _fetch_config(
    client: Client, reference: Reference, descriptor: Descriptor, cancellation: Cancellation | None
) -> bytes:
    if not 0 <= descriptor.size <= _CONFIG_LIMIT:
        raise InvalidInput(f"invalid manifest: a configuration of {descriptor.size} bytes")
    parts = []
    with client.open_blob(reference, descriptor, cancellation=cancellation) as blob:
        while data := blob.read(1 << 20):
            parts.append(data)
    return b"".join(parts)
