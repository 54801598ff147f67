"""What a registry has under a name, without fetching it: `docker manifest inspect` and `docker service` ask."""

from collections.abc import Sequence
from dataclasses import dataclass

from imagewright.oci import Descriptor, Digest, Index, Platform, parse_config, parse_index, parse_manifest
from imagewright.reference import Reference
from imagewright.registry import INDEX_TYPES, Client

__all__ = ["Distribution", "inspect_distribution"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a name in a registry leads to; `size` in bytes."""

    media_type: str
    digest: Digest
    size: int
    platforms: Sequence[Platform]


def inspect_distribution(client: Client, reference: Reference) -> Distribution:
    """Return what `reference` names; raises what `Client.get_manifest` does."""
    received = client.get_manifest(reference)
    kind = received.media_type.partition(";")[0].strip()
    if kind in INDEX_TYPES:
        platforms = _listed(parse_index(received.data))
    else:
        platforms = [_configured(client, reference, parse_manifest(received.data).config)]
    return Distribution(kind, received.digest, len(received.data), platforms)


def _listed(index: Index) -> list[Platform]:
    found = [descriptor.platform for descriptor in index.manifests if descriptor.platform]
    return [Platform(*(str(entry.get(key, "")) for key in ("os", "architecture", "variant"))) for entry in found]


def _configured(client: Client, reference: Reference, descriptor: Descriptor) -> Platform:
    parts = []
    with client.open_blob(reference, descriptor) as blob:
        while data := blob.read(1 << 20):
            parts.append(data)
    config = parse_config(b"".join(parts))
    return Platform(config.os, config.architecture, config.variant)
