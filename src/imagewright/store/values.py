"""What the store gives out and takes in, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from imagewright.oci import Digest, ImageConfig
from imagewright.reference import Reference
from imagewright.store.caches import CacheDirectory

__all__ = [
    "Container",
    "DiskUsage",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "KeptMount",
    "LogLine",
    "Process",
    "Pruned",
    "Record",
    "Removal",
    "StoredImage",
]

_NO_LEAVES: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """Which images to list. Different fields are AND-ed; so are several values of one field, but for `references`.

    `all` shows untagged parents too. `dangling` True selects images without a tag and without children, False those
    that have a name. `labels` are `key` or `key=value`. `before` and `since` name images, compared by creation time.
    `references` are globs, OR-ed, which a familiar or canonical name must match; names that match none are left out
    of the answer. `until_ns` selects images created before a time, in nanoseconds since 1970; `unused_for_ns` those
    that were not used for so many nanoseconds, which depends on when it is asked.
    """

    all: bool = False
    dangling: bool | None = None
    labels: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    until_ns: tuple[int, ...] = ()
    unused_for_ns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSummary:
    """One line of the image list.

    `size` in bytes is that of all its layers' files; `tags` and `digests` are familiar names in the order of their
    canonical forms; `labels` is None where the configuration has none; `containers` counts intermediate containers.
    `shared_size` is that of the layers that another image has too, on the same layers below; `unique_size` the rest.
    Images that nobody sees, untagged parents, count for nothing there. `last_used_ns` is true to a minute. An image
    that did not change keeps its summary object from one list to the next.
    """

    id: Digest
    parent: Digest | None
    created_ns: int
    size: int
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    labels: Mapping[str, str] | None
    containers: int
    shared_size: int = 0
    unique_size: int = 0
    last_used_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredImage:
    """An image with everything that is known of it.

    `config_bytes` are as they came: their sha256 is `id`. `tags` and `digests` are ordered by their canonical forms.
    `created_ns` is 0 where the configuration names no time, `tagged_ns` 0 for an image that was never tagged.
    `last_used_ns` is true to a minute.
    """

    id: Digest
    config_bytes: bytes
    config: ImageConfig
    parent: Digest | None
    created_ns: int
    size: int
    tags: tuple[Reference, ...]
    digests: tuple[Reference, ...]
    tagged_ns: int
    last_used_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """One step in the making of an image; `id` is None where the step's own image is not here."""

    id: Digest | None
    created_ns: int
    created_by: str
    comment: str
    size: int
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """One thing that a removal did: a familiar name taken away, or an image or a layer (by chain_id) deleted.

    `image` is the image that it was done to, None for a layer.
    """

    untagged: str | None = None
    deleted: Digest | None = None
    image: Digest | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a prune did, in order, and how many bytes of files its layers had."""

    removals: tuple[Removal, ...] = ()
    space_reclaimed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """What is kept: `layers_size` is the bytes of the layers of all `images`, each counted once.

    `images` are those of the default list, `caches` the directories of cache mounts.
    """

    layers_size: int
    images: tuple[ImageSummary, ...]
    containers: tuple["Container", ...]
    caches: tuple[CacheDirectory, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a step came to: its layer, None where it made no layer.

    `leaves` are the parts of the cache key by name, kept to explain a later miss. With a `content` (the digest of the
    layer, modification times left out), the layer can be adopted by another step on the same `parent`, the chain_id of
    the layers below (None where there are none).
    """

    diff_id: Digest | None
    created_ns: int
    leaves: Mapping[str, str] = field(default_factory=lambda: _NO_LEAVES)
    parent: Digest | None = None
    content: Digest | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMount:
    """What a RUN found mounted at `target`, as its Dockerfile says; a secret's value is not among it.

    `layers` are the diff_ids of the stage or image that a bind shows `source` of, None where that was the build
    context. `key` is what tells the directory of a cache from others. `size` is in bytes.
    """

    kind: Literal["bind", "cache", "tmpfs", "secret", "ssh"]
    target: str
    source: str = ""
    id: str = ""
    key: str = ""
    sharing: str = "shared"
    readonly: bool = True
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""
    layers: tuple[Digest, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """How a container's process was started, beside its command: `env` as `NAME=value`, `user` as USER has it.

    `insecure` says that nothing confined it. `surroundings` are limits and the like, in JSON, as whoever keeps the
    container reads them again.
    """

    env: tuple[str, ...]
    user: str
    workdir: str
    network: Literal["default", "none", "host"]
    mounts: tuple[KeptMount, ...] = ()
    insecure: bool = False
    surroundings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a process printed, with its end if it has one; a long line is told in several. `time_ns` is when."""

    channel: Literal["stdout", "stderr"]
    time_ns: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """An intermediate container: what is left of a RUN, by 64-hex `id`; `name` without a leading slash.

    `finished_ns` is when its process ended, 0 where nobody knows; `process` is None where there was none, or where an
    older version kept the container.
    `diff_ids` are the layers of its filesystem, lowest first: those of its image, and on top what its process wrote.
    The store says how many bytes of files they have: `size_root` all of them, `size_rw` those above the image's, which
    nobody can tell from the others (0) once the image was removed by force.
    """

    id: str
    image: Digest
    command: tuple[str, ...]
    created_ns: int
    exit_code: int
    name: str
    diff_ids: tuple[Digest, ...] = ()
    finished_ns: int = 0
    process: Process | None = None
    size_rw: int = field(default=0, compare=False)
    size_root: int = field(default=0, compare=False)
