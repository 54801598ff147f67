"""From the store to a registry: what `docker push` asks for."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from imagewright.archive import Compression, Packer, Readable, Writable
from imagewright.cancellation import Cancellation
from imagewright.engine.pulling import serialized, side_by_side
from imagewright.errors import InvalidInput, NotFound
from imagewright.events import Reporter, Status
from imagewright.oci import Digest, parse_manifest
from imagewright.reference import Reference
from imagewright.registry import Client
from imagewright.store import LayerBlob, Store, StoredImage

__all__ = ["push"]

# As many as the engine has.
_UPLOADS = 5
_STRIDE = 512 << 10
# Layers that are compressed at a time, each by several threads: more would take no less time, and memory, which the C
# library keeps for every thread that ever asked for it.
_PACKINGS = 2
_THREADS = min(os.cpu_count() or 1, 8)

_ANY: tuple[Compression, ...] = ("gzip", "zstd")


@dataclass(frozen=True, slots=True)
class _Types:
    """The media types of one kind of manifest; `layers` by compression."""

    manifest: str
    config: str
    layers: dict[str, str]


_DOCKER = _Types(
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.container.image.v1+json",
    {"gzip": "application/vnd.docker.image.rootfs.diff.tar.gzip"},
)
# https://github.com/opencontainers/image-spec/blob/main/layer.md: Docker's own types know no zstd.
_OCI = _Types(
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.config.v1+json",
    {
        "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
        "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
    },
)


def push(
    store: Store,
    client: Client,
    reference: Reference,
    *,
    all_tags: bool,
    compression: Compression | None = None,
    report: Reporter,
    cancellation: Cancellation,
) -> Sequence[tuple[Reference, Digest]]:
    """Send what `reference` names, or all tags of its repository, to its registry; return that, with the images' ids.

    What the registry has already is not sent, or mounted from another of its repositories. An image that came from a
    registry, or went to one, keeps its manifest and so its digest. With `compression` all layers have that one;
    without, those that are kept compressed stay as they are, and others get gzip. Raises `NotFound` for a tag that is
    not here.
    """
    report(Status(f"The push refers to repository [{reference.name}]"))
    if reference.digest is not None:
        raise InvalidInput("cannot push a digest reference")
    known = {name: image for name, image in store.list_references() if name.name == reference.name}
    if not known:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
    wanted = [name for name in known if name.digest is None] if all_tags else [reference.with_default_tag()]
    if not wanted:
        raise NotFound(f"no tags to push for {reference.familiar_name}")
    for name in wanted:
        if name not in known:
            raise NotFound(f"tag does not exist: {name.familiar}")
    for name in wanted:
        with store.lease() as lease:
            image = store.get_image(known[name])
            for diff_id in image.config.diff_ids:
                lease.keep(diff_id)
            _Push(store, client, name, image, serialized(report), cancellation, compression).run()
    return [(name, known[name]) for name in wanted]


@dataclass(frozen=True, slots=True)
class _Manifest:
    """A manifest to be sent; `blobs` are the forms of the layers in it, lowest first."""

    media_type: str
    data: bytes
    blobs: tuple[LayerBlob, ...]


class _Push:
    """One image on its way to one name."""

    def __init__(  # noqa: PLR0917 # all of them are what push was given
        self,
        store: Store,
        client: Client,
        reference: Reference,
        image: StoredImage,
        report: Reporter,
        cancellation: Cancellation,
        compression: Compression | None,
    ) -> None:
        self._store = store
        self._client = client
        self._reference = reference
        self._image = image
        self._report = report
        self._cancellation = cancellation
        self._compressions = _ANY if compression is None else (compression,)
        self._asked = compression is not None

    def run(self) -> None:
        """Send blobs, configuration and manifest, in this order, and remember what the registry has now."""
        reference, image = self._reference, self._image
        for diff_id in reversed(image.config.diff_ids):
            self._report(Status("Preparing", subject=diff_id.short, current=0))
        kept = self._kept()
        manifest = kept or self._composed(self._send_layers(None))
        if kept is not None:
            self._send_layers(kept)
        self._send_config()
        digest = Digest.of(manifest.data)
        there = self._client.head_manifest(reference, cancellation=self._cancellation)
        if there is None or there.digest != str(digest):
            self._client.put_manifest(reference, manifest.media_type, manifest.data, cancellation=self._cancellation)
        by_digest = replace(reference, tag="", digest=digest)
        self._store.add_image(image.config_bytes, references=(by_digest,))
        self._store.blobs.add_manifest(image.id, manifest.media_type, manifest.data)
        size = len(manifest.data)
        self._report(Status(f"{reference.tag}: digest: {digest} size: {size}"))
        aux = {"Tag": reference.tag, "Digest": str(digest), "Size": size}
        self._report(Status("", extra={"progressDetail": {}, "aux": aux}))

    def _kept(self) -> _Manifest | None:
        """Return a manifest that the image had before, if every layer is still here as it names it."""
        names = {name.digest for name in self._image.digests if name.name == self._reference.name}
        kept = self._store.blobs.list_manifests(self._image.id)
        for stored in sorted(kept, key=lambda manifest: manifest.digest not in names):
            manifest = parse_manifest(stored.data)
            diff_ids = self._image.config.diff_ids
            if manifest.config.digest != str(self._image.id) or len(diff_ids) != len(manifest.layers):
                continue
            blobs = [
                self._find_blob(diff_id, layer.address)
                for diff_id, layer in zip(diff_ids, manifest.layers, strict=True)
            ]
            found = tuple(blob for blob in blobs if blob is not None)
            if len(found) == len(diff_ids) and self._fits(found):
                return _Manifest(stored.media_type, stored.data, found)
        return None

    def _find_blob(self, diff_id: Digest, digest: Digest) -> LayerBlob | None:
        if digest == diff_id:
            return LayerBlob(diff_id, "none", self._store.layer_tar_size(diff_id))
        return next((blob for blob in self._store.blobs.find(diff_id) if blob.digest == digest), None)

    def _fits(self, blobs: Sequence[LayerBlob]) -> bool:
        """Tell whether the layers are compressed as was asked for, if it was."""
        return not self._asked or all(blob.compression in self._compressions for blob in blobs)

    def _send_layers(self, kept: _Manifest | None) -> dict[Digest, LayerBlob]:
        """Send each layer as `kept` has it, else as soon as it is compressed; return what was sent."""
        diff_ids = self._image.config.diff_ids
        sent = dict(zip(diff_ids, kept.blobs, strict=True)) if kept is not None else {}

        def send(diff_id: Digest, cancellation: Cancellation) -> None:
            if kept is None:
                sent[diff_id] = packing.submit(self._packed, diff_id, pool, cancellation).result()
            self._send_layer(diff_id, sent[diff_id], cancellation)

        with ThreadPoolExecutor(_THREADS, "pack") as pool, ThreadPoolExecutor(_PACKINGS, "layer") as packing:
            side_by_side(dict.fromkeys(diff_ids), send, workers=_UPLOADS, cancellation=self._cancellation)
        return sent

    def _composed(self, sent: dict[Digest, LayerBlob]) -> _Manifest:
        """Return a new manifest of the layers as they were sent."""
        blobs = tuple(sent[diff_id] for diff_id in self._image.config.diff_ids)
        types = _DOCKER if all(blob.compression in _DOCKER.layers for blob in blobs) else _OCI
        config = self._image.config_bytes
        document = {
            "schemaVersion": 2,
            "mediaType": types.manifest,
            "config": {"mediaType": types.config, "size": len(config), "digest": str(self._image.id)},
            "layers": [
                {"mediaType": types.layers[blob.compression], "size": blob.size, "digest": str(blob.digest)}
                for blob in blobs
            ],
        }
        return _Manifest(types.manifest, msgspec.json.format(msgspec.json.encode(document), indent=3), blobs)

    def _packed(self, diff_id: Digest, pool: Executor, cancellation: Cancellation) -> LayerBlob:
        """Return the form that the target has, else one of its registry, else any, else a new one; gzip before zstd."""
        target = self._reference
        kept = [blob for blob in self._store.blobs.find(diff_id) if blob.compression in self._compressions]
        if kept:
            return min(
                kept,
                key=lambda blob: (
                    blob.compression != self._compressions[0],
                    target.name not in blob.repositories,
                    not _neighbours(blob, target),
                ),
            )

        def write(out: Writable) -> None:
            packer = Packer(out, self._compressions[0], pool)
            self._store.write_layer_tar(diff_id, _Cancellable(packer, cancellation))
            packer.finish()

        return self._store.blobs.add(diff_id, write)

    def _send_layer(self, diff_id: Digest, blob: LayerBlob, cancellation: Cancellation) -> None:
        tell = partial(Status, subject=diff_id.short)
        if self._client.has_blob(self._reference, blob.digest, cancellation=cancellation):
            self._report(tell("Layer already exists", current=0))
        elif source := self._mounted(blob, cancellation):
            self._report(tell(f"Mounted from {source}", current=0))
        else:
            progress = _Progress(lambda sent: self._report(tell("Pushing", current=sent, total=blob.size)))
            self._client.upload_blob(
                self._reference,
                blob.size,
                blob.digest,
                lambda: self._open(diff_id, blob),
                cancellation=cancellation,
                progress=progress,
            )
            self._report(tell("Pushed", current=0))
        self._store.blobs.note_place(diff_id, blob.digest, self._reference.name)

    def _mounted(self, blob: LayerBlob, cancellation: Cancellation) -> str:
        """Return from which repository of the same registry the blob was taken, "" if from none."""
        for source in _neighbours(blob, self._reference):
            if self._client.mount_blob(self._reference, blob.digest, source, cancellation=cancellation):
                return source
        return ""

    def _open(self, diff_id: Digest, blob: LayerBlob) -> Readable:
        if blob.digest == diff_id:
            return self._store.open_layer_tar(diff_id)
        return self._store.blobs.open(diff_id, blob.digest)

    def _send_config(self) -> None:
        data, digest = self._image.config_bytes, self._image.id
        if not self._client.has_blob(self._reference, digest, cancellation=self._cancellation):
            self._client.upload_blob(
                self._reference, len(data), digest, lambda: _Bytes(data), cancellation=self._cancellation
            )


def _neighbours(blob: LayerBlob, target: Reference) -> list[str]:
    """Return the other repositories of the same registry that have the blob."""
    prefix = f"{target.registry}/"
    names = (name.removeprefix(prefix) for name in sorted(blob.repositories) if name.startswith(prefix))
    return [name for name in names if name != target.repository]


class _Progress:
    """Passes on how far an upload is, though not every step of it."""

    def __init__(self, tell: Callable[[int], None]) -> None:
        self._tell = tell
        self._told = -_STRIDE

    def __call__(self, sent: int) -> None:
        if abs(sent - self._told) >= _STRIDE:
            self._told = sent
            self._tell(sent)


class _Cancellable:
    """Hands on what is written, until that is no longer wanted."""

    def __init__(self, out: Writable, cancellation: Cancellation) -> None:
        self._out = out
        self._cancellation = cancellation

    def write(self, data: bytes, /) -> None:
        self._cancellation.check()
        self._out.write(data)


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, n: int, /) -> bytes:
        data, self._data = self._data[:n], self._data[n:]
        return data
