"""From a registry into the store: what `docker pull` asks for."""

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, InvalidInput
from imagewright.events import Event, Reporter, Status
from imagewright.oci import Descriptor, Digest, Platform, parse_time
from imagewright.reference import Reference
from imagewright.registry import BlobReader, Client, RemoteImage, fetch_image, is_for
from imagewright.store import Store

__all__ = ["pull", "pull_tags", "serialized", "side_by_side"]

# As many as the engine has.
_DOWNLOADS = 3
_MOST_LAYERS = 4096
# How many bytes come between two messages about them.
_STRIDE = 512 << 10

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class _Pulled:
    """An image that is here now; `renewed` if it was not here under this name before."""

    reference: Reference
    image: Digest
    platform: Platform
    renewed: bool


def pull(
    store: Store,
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    asked: Platform | None = None,
    report: Reporter,
    cancellation: Cancellation,
) -> Digest:
    """Bring the image that `reference` names for `platform` into `store`; return its id.

    It gets the tag, if it was asked for by one, and its digest as names, at the end, all at once: when every byte was
    verified. Where something is wrong, nothing is kept. Nothing is reported before the registry has the image.
    Where the registry has it for one platform only, it is taken for that, with a warning if `asked` is another.
    """
    reference = reference.with_default_tag()
    pulled = _pull(store, client, reference, platform, serialized(report), cancellation)
    _conclude(reference.familiar, report, renewed=pulled.renewed)
    _warn(pulled, asked, report)
    return pulled.image


def pull_tags(
    store: Store,
    client: Client,
    reference: Reference,
    *,
    platform: Platform,
    asked: Platform | None = None,
    report: Reporter,
    cancellation: Cancellation,
) -> Sequence[tuple[Reference, Digest]]:
    """Do as `pull` does with every tag of the repository of `reference`; return them with the images they name."""
    bare = replace(reference, tag="", digest=None)
    found = [
        _pull(store, client, bare.with_tag(tag), platform, serialized(report), cancellation)
        for tag in client.list_tags(bare, cancellation=cancellation)
    ]
    _conclude(bare.familiar, report, renewed=any(pulled.renewed for pulled in found))
    for pulled in found:
        _warn(pulled, asked, report)
    return [(pulled.reference, pulled.image) for pulled in found]


def _conclude(name: str, report: Reporter, *, renewed: bool) -> None:
    what = "Downloaded newer image" if renewed else "Image is up to date"
    report(Status(f"Status: {what} for {name}"))


def _warn(pulled: _Pulled, asked: Platform | None, report: Reporter) -> None:
    """Say, in the words of the engine's builds, that the image is for another platform than was asked for."""
    if asked is None or is_for(pulled.platform, asked):
        return
    report(
        Status(
            f"\nWARNING: Pulled image with specified platform ({asked}), but the resulting image's configured platform "
            f"({pulled.platform}) does not match.\nThis is most likely caused by a bug in the build system that "
            f"created the fetched image ({pulled.reference.familiar}).\nPlease notify the image author to correct "
            "the configuration."
        )
    )


def _pull(  # noqa: PLR0917 # all of them are what pull was given
    store: Store,
    client: Client,
    reference: Reference,
    platform: Platform,
    report: Reporter,
    cancellation: Cancellation,
) -> _Pulled:
    remote = fetch_image(client, reference, platform, cancellation=cancellation)
    _check(remote)
    report(Status(f"Pulling from {reference.repository}", subject=str(reference.digest or reference.tag)))
    image = Digest.of(remote.config_bytes)
    # A digest says more than a tag beside it, which may name something else by now.
    name = replace(reference, tag="") if reference.digest is not None else reference
    by_digest = replace(reference, tag="", digest=remote.digest)
    before = store.find_reference(name)
    try:
        with store.lease():
            _fetch_layers(store, client, remote, report, cancellation)
            cancellation.check()
            store.add_image(remote.config_bytes, references=tuple(dict.fromkeys((name, by_digest))))
    except BaseException:
        store.sweep()
        raise
    received = remote.received
    store.blobs.add_manifest(image, remote.manifest.media_type or received.media_type, received.data)
    report(Status(f"Digest: {remote.digest}"))
    config = remote.config
    machine = Platform(config.os or platform.os, config.architecture, config.variant)
    return _Pulled(reference, image, machine, renewed=before != image)


def _check(remote: RemoteImage) -> None:
    """Raise `InvalidInput` for what could not be stored, before anything of it is fetched."""
    config = remote.config
    if config.os not in {"", "linux"}:
        raise InvalidInput(f'image operating system "{config.os[:100]}" cannot be used on this platform')
    if len(remote.layers) > _MOST_LAYERS:
        raise InvalidInput("max depth exceeded")
    if config.created:
        parse_time(config.created)


def _fetch_layers(
    store: Store, client: Client, remote: RemoteImage, report: Reporter, cancellation: Cancellation
) -> None:
    wanted: dict[Digest, Descriptor] = {}
    for diff_id, descriptor in zip(remote.config.diff_ids, remote.layers, strict=True):
        subject = descriptor.address.short
        if store.has_layer(diff_id) or diff_id in wanted:
            report(Status("Already exists", subject=subject, current=0))
        else:
            wanted[diff_id] = descriptor
            report(Status("Pulling fs layer", subject=subject, current=0))
    side_by_side(
        wanted.items(),
        lambda item, token: _fetch_layer(store, client, remote.reference, item, report, token),
        workers=_DOWNLOADS,
        cancellation=cancellation,
    )
    # Only what was compared with its digest is told of a repository, and not what a manifest says of a layer.
    for diff_id, descriptor in zip(remote.config.diff_ids, remote.layers, strict=True):
        if diff_id in wanted or any(blob.digest == descriptor.address for blob in store.blobs.find(diff_id)):
            store.blobs.note_place(diff_id, descriptor.address, remote.reference.name)


def _fetch_layer(  # noqa: PLR0917 # the same
    store: Store,
    client: Client,
    reference: Reference,
    layer: tuple[Digest, Descriptor],
    report: Reporter,
    cancellation: Cancellation,
) -> None:
    """Stream a layer once: through its digest and its compression into the store."""
    diff_id, descriptor = layer
    tell = partial(Status, subject=descriptor.address.short)
    with closing(client.open_blob(reference, descriptor, cancellation=cancellation)) as reader:
        watched = _Watched(reader, lambda n: report(tell("Downloading", current=n, total=descriptor.size)))
        # The reader compares what comes with its digest.
        store.blobs.add_stream(watched, diff_id, digest=descriptor.address)
    report(tell("Verifying Checksum", current=0))
    report(tell("Download complete", current=0))
    report(tell("Extracting", current=descriptor.size, total=descriptor.size))
    report(tell("Pull complete", current=0))


class _Watched:
    """A stream that tells how much of it has been read."""

    def __init__(self, stream: BlobReader, progress: Callable[[int], None]) -> None:
        self._stream = stream
        self._progress = progress
        self._count = 0
        self._told = 0

    def read(self, n: int, /) -> bytes:
        data = self._stream.read(n)
        self._count += len(data)
        if self._count - self._told >= _STRIDE or (not self._told and data):
            self._told = self._count
            self._progress(self._count)
        return data


def serialized(report: Reporter) -> Reporter:
    """Return a reporter that many threads may call: one of them at a time is let through to `report`."""
    lock = threading.Lock()

    def tell(event: Event) -> None:
        with lock:
            report(event)

    return tell


def side_by_side(
    items: Iterable[_Item],
    action: Callable[[_Item, Cancellation], None],
    *,
    workers: int,
    cancellation: Cancellation,
) -> None:
    """Do `action` with every item, `workers` at a time; after an error no other goes on, and it is raised.

    The actions are given a token that is cancelled with `cancellation`, and when one of them has failed.
    """
    token = cancellation.part()
    failures: list[BaseException] = []

    def attempt(item: _Item) -> None:
        try:
            token.check()
            action(item, token)
        except BaseException as error:
            # What comes of the cancellation is not the reason for it.
            failures.append(error)
            token.cancel()
            raise

    forget = cancellation.on_cancel(token.cancel)
    try:
        with ThreadPoolExecutor(workers) as pool:
            futures: list[Future[None]] = [pool.submit(attempt, item) for item in items]
        del futures
    finally:
        forget()
    cancellation.check()
    if failures:
        raise next((error for error in failures if not isinstance(error, Cancelled)), failures[0])
