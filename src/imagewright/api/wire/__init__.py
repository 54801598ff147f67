"""The documents of the Docker Engine API, in its own key names: nowhere else in imagewright are they spelt.

What changed with which version: https://docs.docker.com/reference/api/engine/version-history/. `version` is that of the
request; times are seconds or RFC 3339 texts, sizes bytes.
"""

from imagewright.api.wire.containers import CONTAINER_STATES, committed, container_details, container_entry
from imagewright.api.wire.document import Document
from imagewright.api.wire.images import history, image_details, image_entry, pruned, removals
from imagewright.api.wire.messages import (
    aux_message,
    error,
    error_message,
    event_message,
    squashed_message,
    status_message,
    stream_message,
)
from imagewright.api.wire.registries import distribution, search_result
from imagewright.api.wire.system import disk_usage, pruned_caches, system_information, version_information, volumes

__all__ = [
    "CONTAINER_STATES",
    "Document",
    "aux_message",
    "committed",
    "container_details",
    "container_entry",
    "disk_usage",
    "distribution",
    "error",
    "error_message",
    "event_message",
    "history",
    "image_details",
    "image_entry",
    "pruned",
    "pruned_caches",
    "removals",
    "search_result",
    "squashed_message",
    "status_message",
    "stream_message",
    "system_information",
    "version_information",
    "volumes",
]
