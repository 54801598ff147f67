"""Archives of images: what `docker load` reads.

Taken are docker-archives and OCI image layouts, in any compression.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md; for docker-archives, what docker and podman
write is all the specification there is.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.engine.members import Members, blob_path, quote
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.events import BuildWarning, Reporter
from imagewright.oci import (
    Descriptor,
    Digest,
    ImageConfig,
    Platform,
    parse_config,
    parse_index,
    parse_manifest,
    parse_time,
)
from imagewright.reference import Reference
from imagewright.store import Store

__all__ = ["load"]

_CONFIG_LIMIT = 8 << 20
_MANIFEST_LIMIT = 4 << 20
_MOST_LAYERS = 4096
_INDEX_DEPTH = 4

# https://github.com/opencontainers/image-spec/blob/main/media-types.md, and Docker's types from before it.
_INDEXES = frozenset(
    {
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
)
_MANIFESTS = frozenset(
    {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    }
)
_CONFIGS = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    }
)
_LAYER = re.compile(
    r"application/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?"
    r"|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?)"
)
# BuildKit puts statements about an image beside it into the index, for a platform that is none.
_ATTESTS = "vnd.docker.reference.type"


def load(
    store: Store,
    stream: Readable,
    *,
    platform: Platform,
    wanted: Platform | None = None,
    report: Reporter,
    cancellation: Cancellation,
) -> list[Reference | Digest]:
    """Read all images of `stream` into `store`; return the names they were given, in order, ids for those without.

    Of an image for several platforms the one for `platform` is taken. With `wanted` only images for that platform are;
    raises `NotFound` if there are none. Images become visible once all of the archive has been read and every digest
    in it was verified; where something is wrong, nothing of it is kept. `report` is told of each layer as a `Status`,
    and of each name that another image loses as a `BuildWarning`.

    Raises `InvalidInput` for what is no such archive, and `Corrupt` for bytes that are not what their digest says.
    """
    used: set[Digest] = set()
    with store.scratch() as directory:
        members = Members(store, directory, report, cancellation)
        try:
            with store.lease():
                members.read(stream)
                images = _find_images(members, platform, wanted)
                for image in images:
                    for number, (path, diff_id) in enumerate(zip(image.layers, image.config.diff_ids, strict=True)):
                        members.store_layer(number, path, diff_id)
                loaded = _add(store, images, report)
                used.update(*(image.config.diff_ids for image in images))
        finally:
            if not members.stored <= used:
                store.sweep()
    return loaded


@dataclass(slots=True)
class _Image:
    """An image in an archive: the paths of its layers, and what it is to be called."""

    id: Digest
    data: bytes
    config: ImageConfig
    layers: tuple[str, ...]
    names: dict[Reference, None] = field(default_factory=dict)
    parent: Digest | None = None


def _add(store: Store, images: Sequence[_Image], report: Reporter) -> list[Reference | Digest]:
    """Let `images`, whose layers are in the store, be seen; return what they are called."""
    loaded: list[Reference | Digest] = []
    for image in images:
        for name in image.names:
            before = store.find_reference(name)
            if before is not None and before != image.id:
                lost = f"already exists, renaming the old one with ID {before} to empty string"
                report(BuildWarning(f"The image {name.familiar} {lost}"))
        store.add_image(image.data, references=tuple(image.names), stamp=False)
        loaded += image.names or (image.id,)
    for image in images:
        if image.parent is not None:
            store.add_image(image.data, parent=image.parent)
    return loaded


def _find_images(members: Members, platform: Platform, wanted: Platform | None) -> list[_Image]:
    """Return what the archive says it has; all of it can be stored, but for the bytes of layers, not yet looked at."""
    if members.has("manifest.json"):
        images = _docker_images(members, wanted)
    elif members.has("index.json"):
        images = _layout_images(members, wanted or platform, strict=wanted is not None)
    elif members.has("repositories"):
        raise Unsupported("archives without manifest.json, as Docker wrote them before 1.10, are not supported")
    else:
        raise InvalidInput("invalid archive: neither manifest.json nor index.json is in it")
    if wanted is not None and not images:
        raise _none_for(wanted)
    return images


def _read_image(members: Members, path: str, layers: Sequence[str]) -> _Image:
    """Return the image with the configuration at `path`; raises `InvalidInput` where it could not be stored."""
    data = members.document(path, _CONFIG_LIMIT)
    config = parse_config(data)
    if not isinstance(msgspec.json.decode(data).get("rootfs"), dict):
        raise InvalidInput("invalid image JSON, no RootFS key")
    if config.os not in {"", "linux"}:
        raise InvalidInput(f"cannot load {config.os[:100]} image on linux")
    count = len(config.rootfs.diff_ids or ())
    if count != len(layers):
        raise InvalidInput(f"invalid manifest, layers length mismatch: expected {len(layers)}, got {count}")
    if count > _MOST_LAYERS:
        raise InvalidInput("max depth exceeded")
    config.diff_ids  # noqa: B018 - raises for digests of other algorithms
    if config.created:
        parse_time(config.created)
    return _Image(Digest.of(data), data, config, tuple(layers))


class _Listed(msgspec.Struct, frozen=True, rename="pascal"):
    """An image in the `manifest.json` of a docker-members."""

    config: str
    layers: tuple[str, ...] | None = None
    repo_tags: tuple[str, ...] | None = None
    parent: str = ""


def _docker_images(members: Members, wanted: Platform | None) -> list[_Image]:
    data = members.document("manifest.json", _MANIFEST_LIMIT)
    try:
        listed = msgspec.json.decode(data, type=list[_Listed] | None)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid manifest.json: {error}") from error
    if listed is None:
        raise InvalidInput("invalid manifest, manifest cannot be null (but can be [])")
    images: dict[tuple[str, tuple[str, ...]], _Image] = {}
    for entry in listed:
        key = entry.config, entry.layers or ()
        image = images.get(key)
        if image is None:
            image = images[key] = _read_image(members, *key)
        image.names.update((_name(tag), None) for tag in dict.fromkeys(entry.repo_tags or ()))
        image.parent = Digest.parse(entry.parent) if entry.parent else None
    chosen = [
        image for image in images.values() if wanted is None or _rank(_platform(image.config), wanted) is not None
    ]
    _check_parents(chosen)
    return chosen


def _check_parents(images: Sequence[_Image]) -> None:
    """Forget parents that are not among `images`; raises `InvalidInput` for those that cannot be parents."""
    by_id = {image.id: image for image in images}
    for image in images:
        parent = by_id.get(image.parent) if image.parent is not None else None
        if parent is None or parent.id == image.id:
            image.parent = None
        elif not _continues(image.config, parent.config):
            raise InvalidInput(f"image {parent.id} is not a valid parent for {image.id}")


def _continues(config: ImageConfig, parent: ImageConfig) -> bool:
    """Whether the history of `config` is that of `parent` and one step more, or neither has one."""
    ours, theirs = config.history or (), parent.history or ()
    return not ours + theirs or (len(ours) == len(theirs) + 1 and ours[:-1] == theirs)


def _name(tag: str) -> Reference:
    reference = Reference.parse(tag)
    if not reference.tag or reference.digest is not None:
        raise InvalidInput(f"invalid tag {quote(tag)}")
    if reference.familiar_name == "sha256":
        raise InvalidInput("refusing to create an ambiguous tag using digest algorithm as name")
    return reference


def _layout_images(members: Members, platform: Platform, *, strict: bool) -> list[_Image]:
    """Return the images of an image layout: the one for `platform` where there is a choice, no other if `strict`."""
    groups: dict[Reference | None, list[Descriptor]] = {}
    for descriptor in parse_index(members.document("index.json", _MANIFEST_LIMIT)).manifests:
        leaves = list(_leaves(members, descriptor, set(), _INDEX_DEPTH))
        if descriptor.media_type in _INDEXES:
            leaves = _choose(members, leaves, platform, strict=strict)[:1]
        groups.setdefault(_ref_name(descriptor), []).extend(leaves)
    chosen: dict[str, tuple[Descriptor, dict[Reference, None]]] = {}
    for name, leaves in groups.items():
        if name is not None:
            for leaf in _choose(members, leaves, platform, strict=strict):
                chosen.setdefault(leaf.digest, (leaf, {}))[1][name] = None
            continue
        # Without a name, nobody knows whether these were meant as a choice: where some suit, all of those.
        suitable = [leaf for leaf in leaves if _suits(members, leaf, platform) is not None]
        for leaf in suitable if suitable or strict else leaves:
            chosen.setdefault(leaf.digest, (leaf, {}))
    images = [_layout_image(members, leaf, names) for leaf, names in chosen.values()]
    others = [image for image in images if isinstance(image, InvalidInput)]
    if others and len(others) == len(images):
        raise others[0]
    return [image for image in images if isinstance(image, _Image)]


def _leaves(members: Members, descriptor: Descriptor, seen: set[str], depth: int) -> Iterator[Descriptor]:
    """Yield the manifests that `descriptor` stands for: its own, or those below an index, but no attestations."""
    found = descriptor.platform or {}
    if _ATTESTS in descriptor.annotations or found.get("os") == found.get("architecture") == "unknown":
        return
    if descriptor.media_type in _MANIFESTS:
        yield descriptor
        return
    if descriptor.media_type not in _INDEXES:
        raise InvalidInput(f"{quote(descriptor.digest)} has the unknown media type {quote(descriptor.media_type)}")
    if not depth:
        raise InvalidInput("invalid image index: indexes within indexes are too deep")
    if descriptor.digest in seen:
        return
    seen.add(descriptor.digest)
    for child in parse_index(members.document(members.blob(descriptor), _MANIFEST_LIMIT)).manifests:
        # Engines keep and write indexes of which they have only the parts that they need.
        if child.media_type not in _INDEXES | _MANIFESTS or not members.has(blob_path(child)):
            continue
        yield from _leaves(members, child, seen, depth - 1)


def _choose(members: Members, leaves: Sequence[Descriptor], platform: Platform, *, strict: bool) -> list[Descriptor]:
    """Return what of `leaves` suits `platform` best; the only one there is will do, unless `strict`."""
    ranked = [(rank, leaf) for leaf in leaves if (rank := _suits(members, leaf, platform)) is not None]
    if ranked:
        best = min(rank for rank, _ in ranked)
        return [leaf for rank, leaf in ranked if rank == best]
    if strict:
        return []
    if len({leaf.digest for leaf in leaves}) != 1:
        raise _none_for(platform)
    return [leaves[0]]


def _suits(members: Members, leaf: Descriptor, platform: Platform) -> int | None:
    """Return how well the image that `leaf` describes suits `platform`, 0 being best; None if it does not."""
    if leaf.platform is not None:
        os_, architecture, variant = (str(leaf.platform.get(key, "")) for key in ("os", "architecture", "variant"))
        return _rank(Platform(os_, architecture, variant), platform)
    manifest = parse_manifest(members.document(members.blob(leaf), _MANIFEST_LIMIT))
    if manifest.config.media_type not in _CONFIGS:
        return None
    return _rank(_platform(parse_config(members.document(members.blob(manifest.config), _CONFIG_LIMIT))), platform)


def _platform(config: ImageConfig) -> Platform:
    return Platform(config.os, config.architecture, config.variant)


def _rank(found: Platform, platform: Platform) -> int | None:
    if (found.os, found.architecture) != (platform.os, platform.architecture):
        return None
    if found.variant == platform.variant:
        return 0
    return None if found.variant and platform.variant else 1


def _layout_image(members: Members, leaf: Descriptor, names: dict[Reference, None]) -> "_Image | InvalidInput":
    """Return the image that `leaf` describes, or why it is none but something else that a layout may hold."""
    manifest = parse_manifest(members.document(members.blob(leaf), _MANIFEST_LIMIT))
    foreign = [layer.media_type for layer in manifest.layers if not _LAYER.fullmatch(layer.media_type)]
    if manifest.config.media_type not in _CONFIGS:
        foreign.insert(0, manifest.config.media_type)
    if foreign:
        return InvalidInput(f"{quote(leaf.digest)} is no image: {quote(foreign[0])} is in it")
    layers = [blob_path(layer) for layer in manifest.layers]
    image = _read_image(members, members.blob(manifest.config), layers)
    for layer in manifest.layers:
        if layer.urls and not members.has(blob_path(layer)):
            raise InvalidInput(f"the archive lacks the layer {layer.digest}, and addresses of layers are not followed")
        members.blob(layer)
    image.names.update(names)
    return image


def _ref_name(descriptor: Descriptor) -> Reference | None:
    """Return what an index calls an image: a full name by containerd's key, or the layout's own if it is one.

    https://github.com/opencontainers/image-spec/blob/main/annotations.md: `org.opencontainers.image.ref.name` is often
    only a tag, which names nothing by itself. Beside containerd's name it is the tag in that; where it is another, the
    layout was changed by a program that knows only this key.
    """
    name = descriptor.annotations.get("io.containerd.image.name", "")
    own = descriptor.annotations.get("org.opencontainers.image.ref.name", "")
    if not name and (":" in own or "/" in own):
        name, own = own, ""
    try:
        reference = Reference.parse(name).with_default_tag()
        if reference.digest is not None or reference.familiar_name == "sha256":
            return None
        return reference.with_tag(own) if own else reference
    except InvalidInput:
        return None


def _none_for(platform: Platform) -> NotFound:
    return NotFound(f"no image for {platform} is in the archive")
