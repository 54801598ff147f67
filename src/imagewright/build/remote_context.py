"""The build context that is somewhere else: a Dockerfile or an archive behind a URL, or a git repository."""

import os

from imagewright.archive import Readable
from imagewright.build.context import (
    DEFAULT_LIMITS,
    Context,
    ContextLimits,
    check_dockerfile_size,
    find_dockerfile,
    read_archive,
)
from imagewright.build.downloading import public_address, read_repository
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, ImagewrightError, InvalidInput
from imagewright.events import Reporter, Status
from imagewright.filesystem import Tree
from imagewright.remote import (
    PREAMBLE,
    Download,
    Kind,
    Repository,
    detect_kind,
    open_url,
    parse_remote,
)

__all__ = ["fetch_context"]

_PIECE = 64 << 10
_TELL_EVERY = 512 << 10
_BLOCK = 512
_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")


def fetch_context(
    remote: str,
    directory: str,
    dockerfile: str,
    *,
    report: Reporter,
    cancellation: Cancellation,
    limits: ContextLimits = DEFAULT_LIMITS,
) -> Context:
    """Return the context at `remote`, a URL of http or https, or a git repository; contents point into `directory`.

    A URL's file is the Dockerfile if it is text, else an archive, in which `dockerfile` is looked for. `report` is told
    of a download once something has come that could be a context. Raises what `read_context` raises, `InvalidInput`
    for what is none of these, and what fetching raises.
    """
    source = parse_remote(remote)
    if isinstance(source, Repository):
        tree = _read_repository(source, directory, cancellation, limits)
        return find_dockerfile(tree, dockerfile, limits)
    shown = public_address(source)
    with _open(source, shown, cancellation, limits) as download:
        preamble = _preamble(download)
        kind = _kind(shown, download.content_type, preamble)
        counted = _Counting(download, preamble, shown, report)
        if kind == "archive":
            return find_dockerfile(_read_archive(counted, directory, limits, report), dockerfile, limits)
        data = _read(counted, shown, limits)
        counted.tell()
        report(Status(""))
        return Context(None, data, "Dockerfile")


def _read_repository(repository: Repository, directory: str, cancellation: Cancellation, limits: ContextLimits) -> Tree:
    place = os.path.join(directory, "repository")
    os.mkdir(place, 0o700)
    return read_repository(repository, place, cancellation, limits=limits.fetch)


def _open(url: str, shown: str, cancellation: Cancellation, limits: ContextLimits) -> Download:
    try:
        return open_url(url, cancellation, limits=limits.fetch)
    except Cancelled:
        raise
    except ImagewrightError as error:
        raise type(error)(f"error downloading remote context {shown}: {error}") from error


def _kind(shown: str, content_type: str, preamble: bytes) -> Kind:
    try:
        return detect_kind(content_type, preamble)
    except InvalidInput as error:
        raise InvalidInput(f"error detecting content type for remote {shown}: {error}") from error


def _preamble(stream: Readable) -> bytes:
    data = b""
    while len(data) < PREAMBLE and (piece := stream.read(PREAMBLE - len(data))):
        data += piece
    return data


def _read_archive(counted: "_Counting", directory: str, limits: ContextLimits, report: Reporter) -> Tree:
    """Read an archive, and tell of its end where the engine does: which looks for it only where it has to."""
    compressed = counted.preamble.startswith(_COMPRESSED)
    try:
        tree = read_archive(counted, directory, limits)
    except InvalidInput:
        counted.tell()
        if counted.size < _BLOCK:
            report(Status(""))  # all of it was read, in vain
        raise
    if compressed:
        counted.tell()
    return tree


def _read(stream: Readable, shown: str, limits: ContextLimits) -> bytes:
    """Return all of a Dockerfile, but no more than one may have."""
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        check_dockerfile_size(size, shown, limits)
        pieces.append(piece)
    return b"".join(pieces)


class _Counting:
    """Gives `preamble` and then the rest of `download`, and tells now and then how much that was: `size` bytes."""

    def __init__(self, download: Download, preamble: bytes, shown: str, report: Reporter) -> None:
        self.preamble = preamble
        self._download = download
        self._shown = shown
        self._report = report
        self.size = 0
        self._told = 0

    def read(self, n: int, /) -> bytes:
        """Return at most `n` bytes, none at the end."""
        if self.preamble:
            data, self.preamble = self.preamble[:n], self.preamble[n:]
        else:
            data = self._download.read(n)
        self.size += len(data)
        if self.size - self._told > _TELL_EVERY:
            self.tell()
        return data

    def tell(self) -> None:
        """Tell how much has come, unless that was told."""
        if self.size > self._told:
            self._told = self.size
            self._report(Status(self._shown, subject="Downloading context", current=self.size))
