"""Who does the work of a command: a running engine, or one in this process."""

import contextlib
import signal
import threading
from collections.abc import Collection, Iterator, Sequence
from types import FrameType
from typing import Protocol

from imagewright.archive import Compression, Writable
from imagewright.cancellation import Cancellation
from imagewright.cli.client import Client, alive
from imagewright.cli.display import Display, show_event
from imagewright.cli.options import DEFAULT_DATA_ROOT, DEFAULT_SOCKET, unix_socket_path
from imagewright.cli.packing import ContextReader
from imagewright.cli.registry_options import RegistryOptions
from imagewright.cli.transfer import ShowStatus
from imagewright.engine import BuildRequest, Engine, Entitlement, ImageQuery, ImageSummary, Removal
from imagewright.errors import InvalidInput
from imagewright.events import Event, Status
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Keychain

__all__ = ["EmbeddedEngine", "FileBuilder", "Target", "find_engine", "open_target"]


class FileBuilder(Protocol):
    """Whoever can hand out the files of an image that it builds."""

    def build_files(self, chunks: Iterator[bytes], request: BuildRequest, display: Display, out: Writable) -> None:
        """Build from the pieces of a tar, showing it on `display`, and write the image's files to `out` as a tar."""


class Target(FileBuilder, Protocol):
    """What the commands need of an engine."""

    def build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display) -> Digest:
        """Build from the pieces of a tar, showing it on `display`, and return the image id."""

    def list_images(self, query: ImageQuery) -> list[ImageSummary]:
        """Return the images that `query` selects."""

    def pull(
        self, reference: Reference, *, platform: str, all_tags: bool, keychain: Keychain, show: ShowStatus
    ) -> None:
        """Fetch an image, or all tags of a repository, showing it with `show`; `platform` may be empty."""

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool,
        compression: Compression | None,
        keychain: Keychain,
        show: ShowStatus,
    ) -> None:
        """Send an image, or all tags of a repository, showing it with `show`; with `compression` all layers so."""

    def tag(self, name: str, reference: Reference) -> None:
        """Let `reference` name the image called `name`."""

    def remove(self, name: str, *, force: bool, prune: bool) -> Sequence[Removal]:
        """Take a name away, and delete the image if that was its last; return what was done, in order."""


class EmbeddedEngine:
    """An engine in this process as a `Target`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display) -> Digest:
        """Build; an interrupt from the keyboard cancels the build, which then raises `Cancelled`."""
        return self._build(chunks, request, display, None)

    def build_files(self, chunks: Iterator[bytes], request: BuildRequest, display: Display, out: Writable) -> None:
        """Build likewise, and write the image's files to `out` as a tar."""
        self._build(chunks, request, display, out)

    def _build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display, out: Writable | None) -> Digest:
        cancellation = Cancellation()
        with _cancelled_by_interrupt(cancellation):
            return self._engine.build(
                ContextReader(chunks),
                request,
                files=out,
                report=lambda event: show_event(display, event),
                cancellation=cancellation,
            )

    def list_images(self, query: ImageQuery) -> list[ImageSummary]:
        """Return the images that `query` selects."""
        return self._engine.list(query)

    def pull(
        self, reference: Reference, *, platform: str, all_tags: bool, keychain: Keychain, show: ShowStatus
    ) -> None:
        """Fetch; an interrupt from the keyboard cancels it, which then raises `Cancelled`; so in `push`."""
        cancellation = Cancellation("Pull")
        machine = Platform("linux", self._engine.info().architecture)
        with _cancelled_by_interrupt(cancellation):
            self._engine.pull(
                reference,
                platform=Platform.parse(platform, default=machine) if platform else None,
                all_tags=all_tags,
                keychain=keychain,
                report=lambda event: _show_transfer(event, show),
                cancellation=cancellation,
            )

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool,
        compression: Compression | None,
        keychain: Keychain,
        show: ShowStatus,
    ) -> None:
        """Send."""
        cancellation = Cancellation("Push")
        with _cancelled_by_interrupt(cancellation):
            self._engine.push(
                reference if all_tags else reference.with_default_tag(),
                all_tags=all_tags,
                compression=compression,
                keychain=keychain,
                report=lambda event: _show_transfer(event, show),
                cancellation=cancellation,
            )

    def tag(self, name: str, reference: Reference) -> None:
        """Let `reference` name the image called `name`."""
        self._engine.tag(name, reference)

    def remove(self, name: str, *, force: bool, prune: bool) -> Sequence[Removal]:
        """Take a name away, and delete the image if that was its last."""
        return self._engine.remove(name, force=force, prune=prune)


def find_engine(host: str | None, data_root: str | None, registries: RegistryOptions | None = None) -> str | None:
    """Return the path of the socket of the engine to ask, None if this process is to be the engine.

    That is `host`, else none for a `data_root`, else the usual one if it is alive. Raises `InvalidInput` for a host
    that is no unix socket, and for options about registries where a running engine has its own.
    """
    if host:
        path = unix_socket_path(host)
    elif data_root is None and alive(DEFAULT_SOCKET):
        path = DEFAULT_SOCKET
    else:
        return None
    if registries is not None and registries.given:
        options = ", ".join(registries.given)
        raise InvalidInput(f"{options}: the engine at unix://{path} has settings of its own; give them to `serve`")
    return path


@contextlib.contextmanager
def open_target(
    host: str | None,
    data_root: str | None,
    registries: RegistryOptions | None = None,
    *,
    entitlements: Collection[Entitlement] = (),
) -> Iterator[Target]:
    """Choose the engine that `find_engine` finds, else the one in this process on `data_root`, with `registries`.

    That one lets builds have `entitlements`, which a running one decides for itself. Raises what `find_engine` and
    opening an engine raise.
    """
    path = find_engine(host, data_root, registries)
    if path is not None:
        yield Client(path)
    elif registries is None:
        with Engine(data_root or DEFAULT_DATA_ROOT, entitlements=entitlements) as engine:
            yield EmbeddedEngine(engine)
    else:
        with Engine(
            data_root or DEFAULT_DATA_ROOT, registry=registries.settings(), entitlements=entitlements
        ) as engine:
            yield EmbeddedEngine(engine)


def _show_transfer(event: Event, show: ShowStatus) -> None:
    if isinstance(event, Status):
        show(event)


@contextlib.contextmanager
def _cancelled_by_interrupt(cancellation: Cancellation) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)

    def cancel(_number: int, _frame: FrameType | None) -> None:
        # The second interrupt is for those who cannot wait. The handler runs in the middle of the main thread's work,
        # which may hold a lock that cancelling needs: another thread cancels.
        signal.signal(signal.SIGINT, before)
        threading.Thread(target=cancellation.cancel).start()

    signal.signal(signal.SIGINT, cancel)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
