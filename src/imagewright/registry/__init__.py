"""The distribution client: manifests and blobs from and to registries, and who may see which credential.

A `Client` speaks https://github.com/opencontainers/distribution-spec (version 1.1) to any registry, with what a
`Settings` says about hosts and a `Keychain` about credentials. `fetch_image` resolves a reference to the manifest and
the configuration of one platform; the layers are then read with `Client.open_blob`. Nothing here knows a store.
"""

from imagewright.registry.blobs import BlobReader
from imagewright.registry.client import Client, LoginResult
from imagewright.registry.credentials import (
    Credential,
    Keychain,
    for_registry,
    no_credentials,
    parse_auth_header,
    parse_config_header,
    registry_host,
)
from imagewright.registry.docker_config import DockerConfig, read_docker_config, server_address
from imagewright.registry.documents import INDEX_TYPES, MANIFEST_TYPES, Received, is_for, select_manifest
from imagewright.registry.images import RemoteImage, fetch_image
from imagewright.registry.proxies import proxy_variables
from imagewright.registry.searching import SearchResult
from imagewright.registry.settings import Settings, parse_insecure, parse_mirror
from imagewright.registry.uploads import Progress

__all__ = [
    "INDEX_TYPES",
    "MANIFEST_TYPES",
    "BlobReader",
    "Client",
    "Credential",
    "DockerConfig",
    "Keychain",
    "LoginResult",
    "Progress",
    "Received",
    "RemoteImage",
    "SearchResult",
    "Settings",
    "fetch_image",
    "for_registry",
    "is_for",
    "no_credentials",
    "parse_auth_header",
    "parse_config_header",
    "parse_insecure",
    "parse_mirror",
    "proxy_variables",
    "read_docker_config",
    "registry_host",
    "select_manifest",
    "server_address",
]
