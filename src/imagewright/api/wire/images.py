"""Images: entries of the list, details, history, and what became of them."""

from collections.abc import Sequence

import msgspec

from imagewright.api.versions import ApiVersion
from imagewright.api.wire.document import NO_TIME, SECOND, Document, run_config
from imagewright.engine import HistoryItem, ImageSummary, Pruned, Removal, StoredImage
from imagewright.oci import ImageConfig, RunConfig, format_time

__all__ = ["history", "image_details", "image_entry", "pruned", "removals"]

_NO_NAME = "<none>:<none>"
_NO_DIGEST = "<none>@<none>"
_MISSING = "<missing>"


def image_entry(image: ImageSummary, version: ApiVersion, *, shared: bool = False, counted: bool = False) -> Document:
    """Return one entry of the image list.

    With `shared` it tells how much other images have too, with `counted` how many containers there are whatever the
    version; -1 says that this was not asked for.
    """
    tags: Sequence[str] | None = image.tags
    digests: Sequence[str] | None = image.digests
    if not version.at_least(1, 43):
        if not tags and not digests:
            tags, digests = (_NO_NAME,), (_NO_DIGEST,)
        tags, digests = tags or None, digests or None
    entry: Document = {
        "Containers": image.containers if counted or version.at_least(1, 51) else -1,
        "Created": image.created_ns // SECOND,
        "Id": str(image.id),
        "Labels": image.labels or None,
        "ParentId": str(image.parent or ""),
        "RepoDigests": digests,
        "RepoTags": tags,
        "SharedSize": image.shared_size if shared else -1,
        "Size": image.size,
    }
    if not version.at_least(1, 44):
        entry["VirtualSize"] = image.size
    return entry


def image_details(image: StoredImage, version: ApiVersion, driver: str) -> Document:
    """Return what inspecting an image shows; `driver` names how layers are mounted."""
    config = image.config
    details: Document = {
        "Id": str(image.id),
        "RepoTags": [reference.familiar for reference in image.tags],
        "RepoDigests": [reference.familiar for reference in image.digests],
        "Parent": str(image.parent or ""),
        "Comment": config.comment,
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": run_config(config.run, version),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {"Data": None, "Name": driver},
        "RootFS": _rootfs(config),
        "Metadata": _metadata(image),
    }
    if config.created or not version.at_least(1, 44):
        details["Created"] = config.created or NO_TIME
    if config.variant:
        details["Variant"] = config.variant
    if config.os_version:
        details["OsVersion"] = config.os_version
    if not version.at_least(1, 45):
        details["Container"], details["ContainerConfig"] = _making_of(image, version)
    if not version.at_least(1, 44):
        details["VirtualSize"] = image.size
    return details


def _rootfs(config: ImageConfig) -> Document:
    """Return the layers of an image; the key is not there where there are none."""
    layers = [str(diff_id) for diff_id in config.diff_ids]
    return {"Type": "layers", "Layers": layers} if layers else {"Type": "layers"}


def _metadata(image: StoredImage) -> Document:
    """Return what is known of an image beside what is in it; when it was used last is not told by the engine."""
    metadata: Document = {"LastTagTime": format_time(image.tagged_ns) if image.tagged_ns else NO_TIME}
    if image.last_used_ns:
        metadata["LastUsedTime"] = format_time(image.last_used_ns)
    return metadata


def _making_of(image: StoredImage, version: ApiVersion) -> tuple[str, Document]:
    """Return the container that the image was committed from: images from older engines tell of it."""
    document = msgspec.json.decode(image.config_bytes)
    container = document.get("container")
    config = document.get("container_config")
    try:
        run = msgspec.convert(config if isinstance(config, dict) else {}, RunConfig)
    except msgspec.ValidationError:
        run = RunConfig()
    return container if isinstance(container, str) else "", run_config(run, version)


def history(items: Sequence[HistoryItem]) -> list[Document]:
    """Return the history of an image, newest first."""
    return [
        {
            "Comment": item.comment,
            "Created": item.created_ns // SECOND,
            "CreatedBy": item.created_by,
            "Id": str(item.id) if item.id else _MISSING,
            "Size": item.size,
            "Tags": item.tags or None,
        }
        for item in items
    ]


def removals(done: Sequence[Removal]) -> list[Document]:
    """Return what a removal did, in order."""
    return [
        {"Untagged": step.untagged} if step.untagged is not None else {"Deleted": str(step.deleted)} for step in done
    ]


def pruned(done: Pruned) -> Document:
    """Return what a removal of unused images did."""
    return {"ImagesDeleted": removals(done.removals) or None, "SpaceReclaimed": done.space_reclaimed}
