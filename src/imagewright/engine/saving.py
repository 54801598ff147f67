"""Images as one archive: what `docker save` writes.

The archive is an OCI image layout and a docker-archive at once, the form that current engines write: `index.json` and
`manifest.json` describe the same blobs. Equal images give equal bytes.
https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from imagewright.archive import CHUNK, Member, Writable, write_members
from imagewright.cancellation import Cancellation
from imagewright.errors import NotFound
from imagewright.oci import Descriptor, Digest, ImageConfig, Index, Manifest, Platform, encode_document
from imagewright.reference import Reference
from imagewright.store import Store, StoredImage

__all__ = ["save"]

_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_FULL_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Saved:
    """An image to write, and the names it is written with."""

    image: StoredImage
    names: tuple[Reference, ...]


def save(
    store: Store,
    names: Sequence[str],
    out: Writable,
    *,
    platform: Platform | None = None,
    cancellation: Cancellation,
) -> Sequence[Digest]:
    """Write the images that `names` name to `out`; a name without a tag stands for all tags of its repository.

    Returns their ids, each once, in the order of `names`.
    Nothing is written if one of them is not there, or not for `platform`, if that is given: `NotFound` is raised, and
    `InvalidInput` for what cannot be a name. Raises `Corrupt` while writing if bytes of the store have changed.
    """
    with store.lease() as lease:
        chosen = _choose(store, names)
        for saved in chosen:
            if platform is not None and not _is_for(saved.image.config, platform):
                raise NotFound(f"no suitable export target found for platform {platform}")
            for diff_id in saved.image.config.diff_ids:
                lease.keep(diff_id)
        write_members(_members(store, chosen, cancellation), out)
    return [saved.image.id for saved in chosen]


def _is_for(config: ImageConfig, platform: Platform) -> bool:
    same = (config.os, config.architecture) == (platform.os, platform.architecture)
    return same and platform.variant in {"", config.variant}


def _choose(store: Store, names: Sequence[str]) -> list[_Saved]:
    """Return each image once, in the order of `names`, with the names asked for."""
    wanted: dict[Digest, dict[Reference, None]] = {}
    for name in names:
        for image_id, reference in _resolve(store, name):
            references = wanted.setdefault(image_id, {})
            if reference is not None:
                references[reference] = None
    return [_Saved(store.get_image(image_id), tuple(references)) for image_id, references in wanted.items()]


def _resolve(store: Store, name: str) -> list[tuple[Digest, Reference | None]]:
    """Return the images that `name` stands for, each with the name it is saved with, if any.

    Only a name with neither tag nor digest can be an id, or the beginning of one.
    """
    if not _FULL_ID.fullmatch(name):
        reference = Reference.parse(name)
        if reference.familiar_name != "sha256" and (reference.tag or reference.digest is not None):
            found = store.find_reference(reference)
            if found is None:
                raise NotFound("reference does not exist")
            return [(found, reference if reference.digest is None else None)]
        named = [(image_id, tag) for tag, image_id in store.list_references() if tag.name == reference.name]
        if named:
            return [(image_id, tag if tag.digest is None else None) for image_id, tag in named]
    try:
        return [(store.resolve(name), None)]
    except NotFound as error:
        raise NotFound(f"No such image: {name}") from error


def _members(store: Store, chosen: Sequence[_Saved], cancellation: Cancellation) -> Iterator[Member]:
    if not chosen:
        yield Member(path="manifest.json", data=b"null\n")
        return
    yield Member(path="oci-layout", data=b'{"imageLayoutVersion":"1.0.0"}')
    yield Member(path="blobs", kind="directory", mode=0o755)
    yield Member(path="blobs/sha256", kind="directory", mode=0o755)
    written: set[Digest] = set()
    descriptors: list[Descriptor] = []
    for saved in chosen:
        for diff_id in dict.fromkeys(saved.image.config.diff_ids):
            cancellation.check()
            if diff_id not in written:
                written.add(diff_id)
                size = store.layer_tar_size(diff_id)
                yield Member(path=_blob(diff_id), data=_tar(store, diff_id, cancellation), size=size)
        manifest = encode_document(_manifest(store, saved.image))
        for data in (saved.image.config_bytes, manifest):
            if Digest.of(data) not in written:
                written.add(Digest.of(data))
                yield Member(path=_blob(Digest.of(data)), data=data)
        descriptors += _describe(manifest, saved)
    index = Index(schema_version=2, media_type=_INDEX, manifests=tuple(descriptors))
    yield Member(path="index.json", data=encode_document(index))
    yield Member(path="manifest.json", data=_docker_manifest(chosen))
    if any(saved.names for saved in chosen):
        yield Member(path="repositories", data=_repositories(chosen))


def _tar(store: Store, diff_id: Digest, cancellation: Cancellation) -> Iterator[bytes]:
    reader = store.open_layer_tar(diff_id)
    try:
        while piece := reader.read(CHUNK):
            cancellation.check()
            yield piece
    finally:
        reader.close()


def _blob(digest: Digest) -> str:
    return f"blobs/sha256/{digest.encoded}"


def _manifest(store: Store, image: StoredImage) -> Manifest:
    layers = tuple(
        Descriptor(media_type=_LAYER, digest=str(diff_id), size=store.layer_tar_size(diff_id))
        for diff_id in image.config.diff_ids
    )
    config = Descriptor(media_type=_CONFIG, digest=str(image.id), size=len(image.config_bytes))
    return Manifest(schema_version=2, media_type=_MANIFEST, config=config, layers=layers)


def _describe(manifest: bytes, saved: _Saved) -> list[Descriptor]:
    """Return what the index says of one image: a descriptor a name, or one without a name."""
    config = saved.image.config
    platform = {"architecture": config.architecture, "os": config.os, "variant": config.variant}
    descriptor = Descriptor(
        media_type=_MANIFEST,
        digest=str(Digest.of(manifest)),
        size=len(manifest),
        platform={key: value for key, value in platform.items() if value} or None,
    )
    if not saved.names:
        return [descriptor]
    return [
        replace(
            descriptor,
            annotations={
                "io.containerd.image.name": name.canonical,
                "org.opencontainers.image.ref.name": name.tag,
            },
        )
        for name in saved.names
    ]


def _docker_manifest(chosen: Sequence[_Saved]) -> bytes:
    ids = {saved.image.id for saved in chosen}
    entries = []
    for saved in chosen:
        entry = {
            "Config": _blob(saved.image.id),
            "RepoTags": [name.familiar for name in saved.names] or None,
            "Layers": [_blob(diff_id) for diff_id in saved.image.config.diff_ids],
        }
        if saved.image.parent in ids:
            entry["Parent"] = str(saved.image.parent)
        entries.append(entry)
    return _json(entries)


def _repositories(chosen: Sequence[_Saved]) -> bytes:
    repositories: dict[str, dict[str, str]] = {}
    for saved in chosen:
        top = saved.image.config.diff_ids[-1:]
        for name in saved.names:
            repositories.setdefault(name.familiar_name, {})[name.tag] = top[0].encoded if top else ""
    return _json(repositories)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()
