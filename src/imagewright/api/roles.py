"""What the API asks of an engine, by role; `imagewright.engine.Engine` plays them all."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from imagewright.archive import Compression, Readable, Writable
from imagewright.cancellation import Cancellation
from imagewright.checks import Finding
from imagewright.engine import (
    BuildRequest,
    CacheDirectory,
    CachePruning,
    Container,
    DiskUsage,
    Distribution,
    EngineInfo,
    Happening,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    LogLine,
    Pruned,
    Removal,
    StoredImage,
)
from imagewright.events import Reporter
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, LoginResult, SearchResult

__all__ = ["Builder", "Catalogue", "Containers", "EngineProtocol", "Names", "Space", "Transfer", "Witness"]


class Builder(Protocol):
    """Builds images."""

    def build(
        self,
        context: Readable,
        request: BuildRequest = ...,
        *,
        files: Writable | None = None,
        report: Reporter = ...,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        """Build the image that `request` describes from `context`, a tar stream, and return its id.

        Reads all of `context` before it reports anything. With `files` the image's files are written there as a tar.
        """
        ...

    def check(
        self,
        context: Readable,
        request: BuildRequest = ...,
        *,
        report: Reporter = ...,
        cancellation: Cancellation | None = None,
    ) -> tuple[Finding, ...]:
        """Return what the build checks find in `context`, and report each finding; build nothing."""
        ...


class Catalogue(Protocol):
    """Knows which images there are."""

    @property
    def generation(self) -> int:
        """A number that changes whenever an answer of `list` may change; does not block."""
        ...

    def list(self, query: ImageQuery = ...) -> list[ImageSummary]:
        """Return the images that `query` selects, newest first."""
        ...

    def inspect(self, name: str) -> StoredImage:
        """Return the image called `name`; raise `NotFound` if there is none."""
        ...

    def history(self, name: str) -> Sequence[HistoryItem]:
        """Return the steps that made the image called `name`, newest first."""
        ...


class Names(Protocol):
    """Changes what images are called, and which are kept."""

    def tag(self, name: str, reference: Reference) -> None:
        """Let `reference` name the image called `name`."""
        ...

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> Sequence[Removal]:
        """Remove the name, or the image and (with `prune`) its nameless parents; return what was done, in order."""
        ...


class Transfer(Protocol):
    """Takes images in and hands them out."""

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
        """Make an image of one layer from a tar stream, and return its id."""
        ...

    def load(
        self,
        stream: Readable,
        *,
        platform: Platform | None = None,
        report: Reporter = ...,
        cancellation: Cancellation | None = None,
    ) -> Sequence[Reference | Digest]:
        """Take in the images of an archive, those for `platform`; return their names, ids for those without."""
        ...

    def save(self, names: Sequence[str], out: Writable, *, cancellation: Cancellation | None = None) -> None:
        """Write an archive of the images called `names`; writes nothing if one of them cannot be found."""
        ...


class Space(Protocol):
    """Knows what takes up space, and makes some."""

    def prune(
        self,
        *,
        dangling: bool = True,
        labels: Sequence[str] = (),
        unlabelled: Sequence[str] = (),
        until_ns: int | None = None,
        unused_for_ns: int | None = None,
    ) -> Pruned:
        """Remove images that nothing needs: those without a name, or with `dangling` False others too."""
        ...

    def disk_usage(self) -> DiskUsage:
        """Return the images that are shown, and all containers, with what they take up."""
        ...

    def prune_caches(self, pruning: CachePruning | None = ...) -> Sequence[CacheDirectory]:
        """Remove directories of cache mounts, and return them."""
        ...


class Witness(Protocol):
    """Remembers what was done."""

    def watch(
        self, *, since_ns: int | None = None, until_ns: int | None = None, cancellation: Cancellation
    ) -> Iterator[Happening]:
        """Begin at once to watch; return what happened from `since_ns` on, then what happens until `until_ns`.

        Without both only the future is watched. Ends when `cancellation` is cancelled.
        """
        ...


class Containers(Protocol):
    """Knows the intermediate containers that builds have left."""

    def containers(self) -> Sequence[Container]:
        """Return them all, newest first."""
        ...

    def container(self, name: str) -> Container:
        """Return the one called `name`, by id, prefix or name; raise `NotFound` if there is none."""
        ...

    def logs(self, name: str, *, tail: int | None = None) -> Iterator[LogLine]:
        """Return the lines that the process of the one called `name` printed, or the last `tail` of them."""
        ...

    def remove_container(self, name: str) -> None:
        """Remove the one called `name`."""
        ...

    def commit(
        self,
        container: str,
        *,
        reference: Reference | None = None,
        changes: Sequence[str] = (),
        message: str = "",
        author: str = "",
    ) -> Digest:
        """Make an image of the one called `container`; return its id."""
        ...


class Distributor(Protocol):
    """Speaks to registries."""

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        all_tags: bool = False,
        keychain: Keychain = ...,
        report: Reporter = ...,
        cancellation: Cancellation | None = None,
    ) -> Digest:
        """Take an image in, or all tags of a repository; return the id of the last."""
        ...

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool = False,
        compression: Compression | None = None,
        keychain: Keychain = ...,
        report: Reporter = ...,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Send an image, or all tags of a repository, compressed as `compression` says or as it comes."""
        ...

    def login(self, registry: str, credential: Credential) -> LoginResult:
        """Ask a registry whether it knows `credential`."""
        ...

    def search(
        self,
        term: str,
        *,
        limit: int = ...,
        filters: Mapping[str, Sequence[str]] | None = None,
        keychain: Keychain = ...,
    ) -> Sequence[SearchResult]:
        """Return repositories that match."""
        ...

    def distribution(self, reference: Reference, *, keychain: Keychain = ...) -> Distribution:
        """Return what a registry has under a name."""
        ...


class EngineProtocol(Builder, Catalogue, Names, Transfer, Distributor, Space, Witness, Containers, Protocol):
    """All of it, and what the engine says of itself."""

    def info(self) -> EngineInfo:
        """Return facts about the engine and its machine."""
        ...
