"""Archives of images: what `docker load` reads.

Taken are docker-archives, old and new, and OCI image layouts, in any compression. The archive is spooled and indexed,
never unpacked; its links are followed inside it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from imagewright.archive import Readable, Spool, decompress, open_content, read_content, read_tree
from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, InvalidInput, Unsupported
from imagewright.events import Reporter, Status
from imagewright.filesystem import Content, File, Tree, find, resolve
from imagewright.oci import Descriptor, Digest, Index, Platform, parse_config, parse_index, parse_manifest
from imagewright.reference import Reference
from imagewright.store import Store

__all__ = ["load"]

_CONFIG_LIMIT = 8 << 20
_MANIFEST_LIMIT = 4 << 20
_INDEX_DEPTH = 4
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)


@dataclass(frozen=True, slots=True)
class _Found:
    """An image in an archive: where its configuration and its layers are, and what it is to be called."""

    config: Content
    layers: tuple[Content, ...]
    names: tuple[Reference, ...]


class _Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """An image in the `manifest.json` of a docker-archive."""

    config: str
    layers: tuple[str, ...] | None = None
    repo_tags: tuple[str, ...] | None = None


def load(
    store: Store, stream: Readable, *, platform: Platform, report: Reporter, cancellation: Cancellation
) -> list[Reference | Digest]:
    """Read all images of `stream` into `store`; return the names they were given, in order, ids for those without.

    An image is visible once it is whole and every digest of it was verified; those before a bad one stay. `report`
    is told of each layer as a `Status`. Raises `InvalidInput` for what is no such archive, `Corrupt` for bytes
    that are not what their digest says.
    """
    with store.scratch() as directory, store.lease():
        with Spool(os.path.join(directory, "images.tar")) as spool:
            tree = read_tree(decompress(stream), spool)
        loaded: list[Reference | Digest] = []
        for found in _find_images(tree, platform):
            cancellation.check()
            image_id = _take(store, found, report)
            loaded += found.names or (image_id,)
        return loaded


def _take(store: Store, found: _Found, report: Reporter) -> Digest:
    data = read_content(found.config, _CONFIG_LIMIT)
    config = parse_config(data)
    if len(config.diff_ids) != len(found.layers):
        raise InvalidInput(
            f"invalid manifest, layers length mismatch: expected {len(found.layers)}, got {len(config.diff_ids)}"
        )
    for diff_id, layer in zip(config.diff_ids, found.layers, strict=True):
        if not store.has_layer(diff_id):
            report(Status("Loading layer", subject=diff_id.short, current=layer.size, total=layer.size))
            with open_content(layer) as file:
                store.add_layer_stream(file, diff_id=diff_id)
    return store.add_image(data, references=found.names)


def _find_images(tree: Tree, platform: Platform) -> Iterator[_Found]:
    if _find_file(tree, "manifest.json") is not None:
        yield from _docker_images(tree)
    elif _find_file(tree, "index.json") is not None:
        yield from _layout_images(tree, platform)
    else:
        raise InvalidInput("unsupported image archive: neither manifest.json nor index.json is in it")


def _docker_images(tree: Tree) -> Iterator[_Found]:
    data = read_content(_get_file(tree, "manifest.json"), _MANIFEST_LIMIT)
    try:
        entries = msgspec.json.decode(data, type=list[_Entry])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid manifest.json: {error}") from error
    for entry in entries:
        names = tuple(Reference.parse(tag) for tag in entry.repo_tags or ())
        if any(not name.tag or name.digest is not None for name in names):
            raise InvalidInput(f"invalid tag in manifest.json: {', '.join(entry.repo_tags or ())}")
        layers = tuple(_get_file(tree, path) for path in entry.layers or ())
        yield _Found(_get_file(tree, entry.config), layers, names)


def _layout_images(tree: Tree, platform: Platform) -> Iterator[_Found]:
    index = parse_index(read_content(_get_file(tree, "index.json"), _MANIFEST_LIMIT))
    images: dict[str, dict[Reference, None]] = {}
    for descriptor in index.manifests:
        chosen = _choose(tree, descriptor, platform, _INDEX_DEPTH)
        images.setdefault(chosen.digest, {}).update(dict.fromkeys(_names(descriptor)))
    for digest, names in images.items():
        manifest = parse_manifest(read_content(_get_blob(tree, digest), _MANIFEST_LIMIT))
        layers = tuple(_get_blob(tree, layer.digest) for layer in manifest.layers)
        yield _Found(_get_blob(tree, manifest.config.digest), layers, tuple(names))


def _choose(tree: Tree, descriptor: Descriptor, platform: Platform, depth: int) -> Descriptor:
    """Return the manifest that `descriptor` stands for: its own, or that of `platform` in an index."""
    if descriptor.media_type not in _INDEXES:
        return descriptor
    if not depth:
        raise InvalidInput("invalid image index: indexes within indexes are too deep")
    index: Index = parse_index(read_content(_get_blob(tree, descriptor.digest), _MANIFEST_LIMIT))
    for candidate in index.manifests:
        if candidate.platform is None or _suits(candidate.platform, platform):
            return _choose(tree, candidate, platform, depth - 1)
    raise Unsupported(f"no image for {platform} in the index {descriptor.digest}")


def _suits(found: dict[str, Any], platform: Platform) -> bool:
    return found.get("os") == platform.os and found.get("architecture") == platform.architecture


def _names(descriptor: Descriptor) -> Sequence[Reference]:
    """Return what the index calls an image: a full name by containerd's key, or the layout's own if it is one.

    https://github.com/opencontainers/image-spec/blob/main/annotations.md: `org.opencontainers.image.ref.name` is often
    only a tag, which names nothing by itself.
    """
    name = descriptor.annotations.get("io.containerd.image.name", "")
    if not name:
        name = descriptor.annotations.get("org.opencontainers.image.ref.name", "")
        if ":" not in name and "/" not in name:
            return ()
    try:
        reference = Reference.parse(name)
    except InvalidInput:
        return ()
    return () if reference.digest is not None else (reference.with_default_tag(),)


def _find_file(tree: Tree, path: str) -> Content | None:
    node = find(tree, resolve(tree, path))
    return node.content if isinstance(node, File) else None


def _get_file(tree: Tree, path: str) -> Content:
    content = _find_file(tree, path)
    if content is None:
        raise InvalidInput(f"the image archive lacks {path[:200]!r}")
    return content


def _get_blob(tree: Tree, digest: str) -> Content:
    """Return the blob with `digest`, verified: the digest of all members was taken as they came."""
    address = Digest.parse(digest)
    content = _get_file(tree, f"blobs/sha256/{address.encoded}")
    if content.digest != address:
        raise Corrupt(f"the blob {digest} does not match its digest")
    return content
