"""The build context that is somewhere else: a Dockerfile or an archive behind a URL, or a git repository."""

import os

from imagewright.archive import Readable
from imagewright.build.checkout import read_directory
from imagewright.build.context import (
    DEFAULT_LIMITS,
    Context,
    ContextLimits,
    check_dockerfile_size,
    find_dockerfile,
    read_context,
)
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, ImagewrightError, InvalidInput
from imagewright.events import Reporter, Status
from imagewright.filesystem import Directory, Tree, find, resolve
from imagewright.remote import (
    PREAMBLE,
    Download,
    Kind,
    Repository,
    detect_kind,
    fetch_repository,
    open_url,
    parse_remote,
)

__all__ = ["fetch_context"]

_PIECE = 64 << 10
_TELL_EVERY = 512 << 10


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
    shown = _public(source)
    with _open(source, shown, cancellation, limits) as download:
        preamble = _preamble(download)
        kind = _kind(shown, download.content_type, preamble)
        counted = _Counting(download, preamble, report, shown=shown, lined=kind == "dockerfile")
        if kind == "archive":
            return read_context(counted, directory, dockerfile, limits=limits)
        return Context(None, _read(counted, shown, limits), "Dockerfile")


def _read_repository(repository: Repository, directory: str, cancellation: Cancellation, limits: ContextLimits) -> Tree:
    place = os.path.join(directory, "repository")
    os.mkdir(place, 0o700)
    tree = read_directory(fetch_repository(repository, place, cancellation, limits=limits.fetch), cancellation)
    if not repository.subdir:
        return tree
    node = find(tree, resolve(tree, repository.subdir))
    if node is None:
        raise InvalidInput(f"stat {repository.subdir}: no such file or directory")
    if not isinstance(node, Directory):
        raise InvalidInput(f"error setting git context, not a directory: {repository.subdir}")
    return node


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


def _read(stream: Readable, shown: str, limits: ContextLimits) -> bytes:
    """Return all of a Dockerfile, but no more than one may have."""
    pieces, size = [], 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        check_dockerfile_size(size, shown, limits)
        pieces.append(piece)
    return b"".join(pieces)


def _public(url: str) -> str:
    """Return `url` without its user, which may be a secret, and without its query, for the same reason."""
    scheme, _, rest = url.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


class _Counting:
    """Gives `preamble` and then the rest of `download`, and tells how much that was: often enough, and at the end.

    `lined` is whether an empty message ends that.
    """

    def __init__(self, download: Download, preamble: bytes, report: Reporter, *, shown: str, lined: bool) -> None:
        self._download = download
        self._preamble = preamble
        self._report = report
        self._shown = shown
        self._lined = lined
        self._size = 0
        self._told = 0
        self._ended = False

    def read(self, n: int, /) -> bytes:
        """Return at most `n` bytes, none at the end."""
        if self._preamble:
            data, self._preamble = self._preamble[:n], self._preamble[n:]
        else:
            data = self._download.read(n)
        self._size += len(data)
        if data and (self._size - self._told > _TELL_EVERY or self._size == self._download.size):
            self._tell()
        elif not data and not self._ended:
            self._ended = True
            if self._size > self._told:
                self._tell()
            if self._lined:
                self._report(Status(""))
        return data

    def _tell(self) -> None:
        self._told = self._size
        self._report(Status(self._shown, subject="Downloading context", current=self._size))
