"""From the store to a registry: what `docker push` asks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec
from isal import isal_zlib

from imagewright.archive import Readable, Writable
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
_GZIP_LEVEL = 1
_GZIP_WINDOW = 31

_MANIFEST_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG_TYPE = "application/vnd.docker.container.image.v1+json"
_LAYER_TYPE = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def push(
    store: Store,
    client: Client,
    reference: Reference,
    *,
    all_tags: bool,
    report: Reporter,
    cancellation: Cancellation,
) -> Sequence[tuple[Reference, Digest]]:
    """Send what `reference` names, or all tags of its repository, to its registry; return that, with the images' ids.

    What the registry has already is not sent, or mounted from another of its repositories. An image that came from a
    registry, or went to one, keeps its manifest and so its digest. Raises `NotFound` for a tag that is not here.
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
            _Push(store, client, name, image, serialized(report), cancellation).run()
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
    ) -> None:
        self._store = store
        self._client = client
        self._reference = reference
        self._image = image
        self._report = report
        self._cancellation = cancellation

    def run(self) -> None:
        """Send blobs, configuration and manifest, in this order, and remember what the registry has now."""
        reference, image = self._reference, self._image
        for diff_id in reversed(image.config.diff_ids):
            self._report(Status("Preparing", subject=diff_id.short, current=0))
        manifest = self._kept() or self._composed()
        layers = dict(zip(image.config.diff_ids, manifest.blobs, strict=True))
        side_by_side(layers.items(), self._send_layer, workers=_UPLOADS, cancellation=self._cancellation)
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
            if len(found) == len(diff_ids):
                return _Manifest(stored.media_type, stored.data, found)
        return None

    def _find_blob(self, diff_id: Digest, digest: Digest) -> LayerBlob | None:
        if digest == diff_id:
            return LayerBlob(diff_id, "none", self._store.layer_tar_size(diff_id))
        return next((blob for blob in self._store.blobs.find(diff_id) if blob.digest == digest), None)

    def _composed(self) -> _Manifest:
        """Return a new manifest, of the gzip form of each layer, which is made where there is none."""
        made: dict[Digest, LayerBlob] = {}

        def prepare(diff_id: Digest, _cancellation: Cancellation) -> None:
            made[diff_id] = self._gzipped(diff_id)

        diff_ids = self._image.config.diff_ids
        side_by_side(dict.fromkeys(diff_ids), prepare, workers=_UPLOADS, cancellation=self._cancellation)
        blobs = tuple(made[diff_id] for diff_id in diff_ids)
        config = self._image.config_bytes
        document = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": {"mediaType": _CONFIG_TYPE, "size": len(config), "digest": str(self._image.id)},
            "layers": [{"mediaType": _LAYER_TYPE, "size": blob.size, "digest": str(blob.digest)} for blob in blobs],
        }
        return _Manifest(_MANIFEST_TYPE, msgspec.json.format(msgspec.json.encode(document), indent=3), blobs)

    def _gzipped(self, diff_id: Digest) -> LayerBlob:
        """Return the gzip form that the target has, else one of its registry, else any, else a new one."""
        target = self._reference
        kept = [blob for blob in self._store.blobs.find(diff_id) if blob.compression == "gzip"]
        kept.sort(key=lambda blob: (target.name not in blob.repositories, not _neighbours(blob, target)))
        if kept:
            return kept[0]

        def write(out: Writable) -> None:
            packed = _Gzip(out, self._cancellation)
            self._store.write_layer_tar(diff_id, packed)
            packed.finish()

        return self._store.blobs.add(diff_id, write)

    def _send_layer(self, layer: tuple[Digest, LayerBlob], cancellation: Cancellation) -> None:
        diff_id, blob = layer
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


class _Gzip:
    """Compresses what is written; the same bytes each time."""

    def __init__(self, out: Writable, cancellation: Cancellation) -> None:
        self._out = out
        self._cancellation = cancellation
        self._compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW)

    def write(self, data: bytes, /) -> None:
        self._cancellation.check()
        self._out.write(self._compressor.compress(data))

    def finish(self) -> None:
        """Write what is left."""
        self._out.write(self._compressor.flush())


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, n: int, /) -> bytes:
        data, self._data = self._data[:n], self._data[n:]
        return data
