"""Images as one archive: what `docker save` writes.

The archive is an OCI image layout and a docker-archive at once, the form that current engines write: `index.json` and
`manifest.json` describe the same blobs. Equal images give equal bytes.
https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagewright.archive import CHUNK, Member, Writable, write_members
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Descriptor, Digest, Index, Manifest, encode_document
from imagewright.reference import Reference
from imagewright.store import Store, StoredImage

__all__ = ["save"]

_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True, slots=True)
class _Saved:
    """An image to write, and the names it is written with."""

    image: StoredImage
    names: tuple[Reference, ...]


def save(store: Store, names: Sequence[str], out: Writable, *, cancellation: Cancellation) -> None:
    """Write the images that `names` name to `out`; a name without a tag stands for all tags of its repository.

    Raises `NotFound` before the first byte is written if one of them is not there, and `Corrupt` while writing if the
    store's bytes are not what they were.
    """
    with store.lease() as lease:
        chosen = _choose(store, names)
        for saved in chosen:
            for diff_id in saved.image.config.diff_ids:
                lease.keep(diff_id)
        write_members(_members(store, chosen, cancellation), out)


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
    try:
        reference = Reference.parse(name)
    except InvalidInput:
        reference = None
    if reference is not None and reference.digest is None:
        if reference.tag:
            found = store.find_reference(reference)
            if found is not None:
                return [(found, reference)]
        tagged = [(image_id, tag) for tag, image_id in store.list_references() if _same(tag, reference)]
        if tagged:
            return [(image_id, tag) for image_id, tag in tagged]
    try:
        return [(store.resolve(name), None)]
    except NotFound as error:
        raise NotFound(f"No such image: {name}") from error


def _same(tag: Reference, reference: Reference) -> bool:
    return not reference.tag and not tag.digest and tag.name == reference.name


def _members(store: Store, chosen: Sequence[_Saved], cancellation: Cancellation) -> Iterator[Member]:
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
        descriptors += _describe(manifest, saved.names)
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


def _describe(manifest: bytes, names: Sequence[Reference]) -> list[Descriptor]:
    """Return what the index says of one image: a descriptor a name, or one without a name."""
    digest, size = str(Digest.of(manifest)), len(manifest)
    if not names:
        return [Descriptor(media_type=_MANIFEST, digest=digest, size=size)]
    return [
        Descriptor(
            media_type=_MANIFEST,
            digest=digest,
            size=size,
            annotations={
                "io.containerd.image.name": name.canonical,
                "org.opencontainers.image.ref.name": name.tag,
            },
        )
        for name in names
    ]


def _docker_manifest(chosen: Sequence[_Saved]) -> bytes:
    return _json(
        [
            {
                "Config": _blob(saved.image.id),
                "RepoTags": [name.familiar for name in saved.names] or None,
                "Layers": [_blob(diff_id) for diff_id in saved.image.config.diff_ids],
            }
            for saved in chosen
        ]
    )


def _repositories(chosen: Sequence[_Saved]) -> bytes:
    repositories: dict[str, dict[str, str]] = {}
    for saved in chosen:
        top = saved.image.config.diff_ids[-1:]
        for name in saved.names:
            repositories.setdefault(name.familiar_name, {})[name.tag] = top[0].encoded if top else ""
    return _json(repositories)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
