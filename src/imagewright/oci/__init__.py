"""The documents of the OCI image specification, and their canonical JSON.

https://github.com/opencontainers/image-spec (version 1.1).
"""

from imagewright.oci.config import (
    Healthcheck,
    History,
    ImageConfig,
    RootfsConfig,
    RunConfig,
    encode_config,
    format_time,
    parse_config,
    parse_time,
)
from imagewright.oci.digest import Digest, chain_id
from imagewright.oci.manifest import Descriptor, Index, Manifest, encode_document, parse_index, parse_manifest
from imagewright.oci.platform import Platform, describe_platform, suits

__all__ = [
    "Descriptor",
    "Digest",
    "Healthcheck",
    "History",
    "ImageConfig",
    "Index",
    "Manifest",
    "Platform",
    "RootfsConfig",
    "RunConfig",
    "chain_id",
    "describe_platform",
    "encode_config",
    "encode_document",
    "format_time",
    "parse_config",
    "parse_index",
    "parse_manifest",
    "parse_time",
    "suits",
]
