"""The engine: everything that is asked of imagewright goes through it."""

import os
import secrets
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Self

from imagewright.archive import Compression, Readable, Writable
from imagewright.build import Builder, BuildRequest, ContextLimits, Entitlement
from imagewright.cancellation import Cancellation
from imagewright.checks import Finding
from imagewright.engine.chronicle import Chronicle
from imagewright.engine.containers import Containers
from imagewright.engine.distribution import Distribution, inspect_distribution
from imagewright.engine.exporting import export_files
from imagewright.engine.finding import find_base
from imagewright.engine.happenings import Happening, Happenings
from imagewright.engine.importing import import_image
from imagewright.engine.info import EngineInfo, describe_engine, read_identity, read_machine
from imagewright.engine.loading import load
from imagewright.engine.mirroring import pull, pull_tags
from imagewright.engine.pushing import push
from imagewright.engine.saving import save
from imagewright.errors import NotFound
from imagewright.events import Reporter, ignore
from imagewright.oci import Digest, Platform
from imagewright.plan import Base
from imagewright.reference import Reference
from imagewright.registry import (
    Client,
    Credential,
    Keychain,
    LoginResult,
    SearchResult,
    Settings,
    no_credentials,
)
from imagewright.sandbox import Sandbox
from imagewright.store import (
    CacheDirectory,
    CachePruning,
    DiskUsage,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    Pruned,
    Pruning,
    Removal,
    Store,
    StoredImage,
)

__all__ = ["DEFAULT_DATA_ROOT", "Engine"]

DEFAULT_DATA_ROOT = "/var/lib/imagewright"


class Engine(Containers):
    """Builds images and keeps them below `data_root`, a directory that belongs to this engine alone; thread-safe.

    `runtime` is the name or path of the OCI runtime for RUN, None for the first that works; `context_limits` is how
    much a build context may be, and `entitlements` what RUN steps may be given if the request asks for it too. What an
    earlier engine left half done, even one that was killed, is removed when this one opens. Use it as a context
    manager, or call `close`. Raises `SystemFailure` if another process has the data root.

    Every method blocks until it is done and raises an `ImagewrightError`: `NotFound` for an image that is not there,
    `InvalidInput` for what cannot be right, and so on. Names of images are what Docker takes: `busybox`,
    `registry.example/team/app:1.2`, a name with a digest, an id, or the beginning of one.
    """

    def __init__(
        self,
        data_root: str = DEFAULT_DATA_ROOT,
        *,
        runtime: str | None = None,
        registry: Settings | None = None,
        entitlements: Collection[Entitlement] = (),
        context_limits: ContextLimits | None = None,
    ) -> None:
        self._data_root = os.path.abspath(data_root)
        self._machine = read_machine()
        self._store = Store.open(self._data_root, clock=time.time_ns)
        try:
            self._sandbox = Sandbox(os.path.join(self._data_root, "run"), runtime=runtime)
            self._sandbox.recover()
        except BaseException:
            self._store.close()
            raise
        self._id = read_identity(self._data_root)
        self._happenings = Happenings(time.time_ns)
        self._chronicle = Chronicle(self._store, self._happenings)
        self._registry = registry or Settings()
        self._client = Client(self._registry)
        self._builder = Builder(
            store=self._store,
            runner=self._sandbox,
            find=self._find_base,
            platform=self._machine.platform,
            entitlements=frozenset(entitlements),
            clock=time.time_ns,
            new_id=lambda: secrets.token_hex(32),
            limits=context_limits or ContextLimits(),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the data root back; nothing may be under way, but watches, which end. Idempotent."""
        self._happenings.close()
        self._client.close()
        self._sandbox.close()
        self._store.close()

    def build(
        self,
        context: Readable,
        request: BuildRequest | None = None,
        *,
        files: Writable | None = None,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        """Build an image from `context`, a tar in any compression, and return its id.

        All of `context` is read before the first event; none of it where `request` has a `remote`. The image and its
        tags become visible at the end, or never. Then, with `files`, what a container of it would find is written there
        as a tar.
        Raises `DockerfileError` with the line, `RunFailed` with the exit code, `Cancelled` soon after `cancellation`
        is cancelled, and others; nothing is left then but the cache entries of the steps that were done.
        """
        request, cancellation = request or BuildRequest(), cancellation or Cancellation()
        with self._store.lease():
            image = self._builder.build(context, request, report=report, cancellation=cancellation)
            for reference in request.tags:
                self._chronicle.tell_tagged(image, reference)
            if files is not None:
                export_files(self._store, image, files, cancellation=cancellation)
        return image

    def check(
        self,
        context: Readable,
        request: BuildRequest | None = None,
        *,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> tuple[Finding, ...]:
        """Return what the build checks find in the Dockerfile of `context`, and tell each; run and pull nothing.

        Raises `DockerfileError` for one that cannot be read, and if its `check` directive makes findings errors.
        """
        request = request or BuildRequest()
        return self._builder.check(context, request, report=report, cancellation=cancellation or Cancellation())

    @property
    def generation(self) -> int:
        """A number that changes whenever an answer of `list` or `disk_usage` may change; also from process to process.

        Read it before the answer that it is to stand for. The passing of time, which queries with `unused_for_ns` are
        about, and `last_used_ns` leave it as it is.
        """
        return self._store.generation

    def list(self, query: ImageQuery | None = None) -> list[ImageSummary]:
        """Return the images that `query` selects, the newest first; by default those a user would want to see."""
        return self._store.list_images(query or ImageQuery())

    def inspect(self, name: str) -> StoredImage:
        """Return what is known of the image `name`. That is a use of it, from the next look on."""
        image = self.look(name)
        self._store.note_use(image.id)
        return image

    def look(self, name: str) -> StoredImage:
        """Return what `inspect` returns, without that being a use of the image."""
        return self._store.get_image(self._store.resolve(name))

    def history(self, name: str) -> Sequence[HistoryItem]:
        """Return the steps that made the image `name`, the last first."""
        return self._store.history(self._store.resolve(name))

    def tag(self, name: str, reference: Reference) -> None:
        """Make `reference`, with `latest` where it has no tag, name the image `name`. Atomic and idempotent.

        Whatever had that name before loses it.
        """
        image = self._store.resolve(name)
        self._store.tag(image, reference)
        self._chronicle.tell_tagged(image, reference)

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> Sequence[Removal]:
        """Take the name `name` away, and delete the image if that was its last; return what was done, in order.

        With `prune` untagged parents go too. Raises `Conflict` for an image that something needs; `force` overrides
        some of these, as `docker rmi --force` does.
        """
        labels: dict[Digest, Mapping[str, str]] = {}
        if name.strip():
            image = self._store.resolve(name)
            labels[image] = self._chronicle.labels(image)
        removals = self._store.remove_image(name, force=force, prune_parents=prune)
        self._chronicle.tell_removals(removals, labels)
        return removals

    def import_(
        self,
        stream: Readable,
        *,
        reference: Reference | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        """Make an image of one layer from the tar `stream`, in any compression; return its id.

        `changes` are Dockerfile instructions that configure, such as `CMD ["sh"]`.
        """
        image = import_image(
            self._store,
            stream,
            references=() if reference is None else (reference.with_default_tag(),),
            changes=changes,
            message=message or "Imported from -",
            platform=platform or self._machine.platform,
            clock=time.time_ns,
            cancellation=cancellation or Cancellation("Import"),
        )
        if reference is not None:
            self._chronicle.tell_tagged(image, reference)
        self._chronicle.tell_image("import", image)
        return image

    def load(
        self,
        stream: Readable,
        *,
        platform: Platform | None = None,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Sequence[Reference | Digest]:
        """Take in all images of an archive that `save`, docker, podman, skopeo or another program wrote.

        Of an image for several platforms, that for `platform` is taken, which must be there; the machine's if it is
        not given. Returns the names they have now, in order, ids for those without a name.
        """
        loaded = load(
            self._store,
            stream,
            platform=self._machine.platform,
            wanted=platform,
            report=report,
            cancellation=cancellation or Cancellation("Load"),
        )
        images = (self._store.find_reference(name) if isinstance(name, Reference) else name for name in loaded)
        for image in dict.fromkeys(images):
            if image is not None:
                self._chronicle.tell_image("load", image)
        return loaded

    def save(
        self,
        names: Sequence[str],
        out: Writable,
        *,
        platform: Platform | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Write the images `names` to `out` as one archive, which docker, podman, skopeo and `load` can read.

        All names are looked up before the first byte is written, and with `platform` all must be for that one.
        """
        saved = save(self._store, names, out, platform=platform, cancellation=cancellation or Cancellation("Save"))
        for image in saved:
            self._store.note_use(image)
            self._chronicle.tell_image("save", image)

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        all_tags: bool = False,
        keychain: Keychain = no_credentials,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        """Bring the image `reference` here from its registry, and return its id; with `all_tags` all, and the last.

        It is visible, under its tag and its digest, once all of it was verified, or never. Nothing is reported before
        the registry has said that it has the image. One that is not for `platform`, where there is no choice, is taken
        with a warning.
        """
        settings: dict[str, Any] = {
            "platform": platform or self._machine.platform,
            "asked": platform,
            "report": report,
            "cancellation": cancellation or Cancellation("Pull"),
        }
        client = self._client.with_keychain(keychain)
        if all_tags:
            found = pull_tags(self._store, client, reference, **settings)
        else:
            tagged = reference.with_default_tag()
            found = [(tagged, pull(self._store, client, tagged, **settings))]
        if not found:
            raise NotFound(f"no tags in the repository {reference.familiar_name}")
        for tagged, image in found:
            self._chronicle.tell_transfer("pull", tagged, image)
        return found[-1][1]

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool = False,
        compression: Compression | None = None,
        keychain: Keychain = no_credentials,
        report: Reporter = ignore,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Send the image `reference`, with `all_tags` every tag of its repository, to its registry.

        What the registry has already is not sent. The image has its digest there as a name afterwards. With
        `compression` all layers go with that one, else those that came compressed as they came. Idempotent.
        """
        client = self._client.with_keychain(keychain)
        pushed = push(
            self._store,
            client,
            reference,
            all_tags=all_tags,
            compression=compression,
            report=report,
            cancellation=cancellation or Cancellation("Push"),
        )
        for tagged, image in pushed:
            self._chronicle.tell_transfer("push", tagged, image)

    def login(self, registry: str, credential: Credential) -> LoginResult:
        """Ask `registry` whether it knows `credential`; raise `Forbidden` if not."""
        return self._client.login(registry, credential)

    def search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Mapping[str, Sequence[str]] | None = None,
        keychain: Keychain = no_credentials,
    ) -> Sequence[SearchResult]:
        """Return repositories of a registry, Docker Hub where `term` names none, that match `term`."""
        return self._client.with_keychain(keychain).search(term, limit=limit, filters=filters)

    def distribution(self, reference: Reference, *, keychain: Keychain = no_credentials) -> Distribution:
        """Return what `reference` names in its registry, and for which platforms that is."""
        return inspect_distribution(self._client.with_keychain(keychain), reference.with_default_tag())

    def prune(
        self,
        *,
        dangling: bool = True,
        labels: Sequence[str] = (),
        unlabelled: Sequence[str] = (),
        until_ns: int | None = None,
        unused_for_ns: int | None = None,
    ) -> Pruned:
        """Delete images that nothing needs, those without a tag, or with `dangling` False all; return what was done.

        All conditions must hold: every one of `labels` (`key` or `key=value`), not every one of `unlabelled`, not
        created after `until_ns`, not used for `unused_for_ns`. Images of containers stay. Atomic.
        """
        known = {image.id: image.labels or {} for image in self._store.list_images(ImageQuery(all=True))}
        selection: dict[str, Any] = {"labels": tuple(labels), "unlabelled": tuple(unlabelled)}
        pruning = Pruning(dangling=dangling, until_ns=until_ns, unused_for_ns=unused_for_ns, **selection)
        pruned = self._store.prune_images(pruning)
        self._chronicle.tell_removals(pruned.removals, known)
        self._happenings.record("image", "prune", "", {"reclaimed": str(pruned.space_reclaimed)})
        return pruned

    def disk_usage(self) -> DiskUsage:
        """Return what is kept and how much of it there is; only what caches have become is measured."""
        return self._store.disk_usage()

    def prune_caches(self, pruning: CachePruning | None = None) -> Sequence[CacheDirectory]:
        """Remove directories of cache mounts that no RUN has, as `pruning` says, by default all; return them."""
        removed = self._store.prune_caches(pruning or CachePruning())
        reclaimed = sum(cache.size for cache in removed)
        self._happenings.record("builder", "prune", "", {"reclaimed": str(reclaimed)})
        return removed

    def watch(
        self, *, since_ns: int | None = None, until_ns: int | None = None, cancellation: Cancellation
    ) -> Iterator[Happening]:
        """Return what happened, as far as it is remembered, and then what happens until `until_ns` or `cancellation`.

        Without `since_ns` and `until_ns` nothing is remembered. The watch begins with this call, not with the first
        `next`; the iterator ends, without an error, when `cancellation` is cancelled or the engine closes.
        """
        return self._happenings.watch(since_ns=since_ns, until_ns=until_ns, cancellation=cancellation)

    def info(self) -> EngineInfo:
        """Return what this engine holds and where it runs."""
        return describe_engine(
            self._machine,
            self._registry,
            identity=self._id,
            data_root=self._data_root,
            runtime=self._sandbox.runtime,
            images=self._store.image_count(),
            containers=len(self._store.list_containers()),
        )

    def _find_base(
        self, name: str, platform: Platform | None, request: BuildRequest, report: Reporter, cancellation: Cancellation
    ) -> Base:
        """Find the image that a Dockerfile begins with or copies from, here or in its registry."""
        bring = partial(
            self.pull, platform=platform, keychain=request.keychain, report=report, cancellation=cancellation
        )
        return find_base(self._store, name, platform, always=request.pull, pull=bring)
