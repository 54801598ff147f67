"""What ADD and named contexts take from elsewhere: files behind URLs, and git repositories."""

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from imagewright.build.checkout import read_directory
from imagewright.build.flights import Flights
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, SystemFailure
from imagewright.events import Reporter, Status
from imagewright.filesystem import Content, Directory, Extent, File, Layer, Tree, Whiteout, apply, find, resolve, walk
from imagewright.oci import Digest
from imagewright.plan import Remote
from imagewright.remote import (
    DEFAULT_LIMITS,
    FetchLimits,
    Repository,
    fetch_repository,
    is_repository,
    open_url,
    parse_repository,
)

__all__ = ["Downloads", "FetchedFile", "public_address", "read_repository"]

_PIECE = 1 << 20
_TELL_EVERY = 512 << 10
_SHA256 = re.compile(r"sha256:([0-9a-f]{64})")
_ALGORITHM = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[A-Za-z0-9=_-]+")
_COMMIT = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True, slots=True)
class FetchedFile:
    """A file, and its `name` as its URL has it, "" where that has none."""

    name: str
    file: File


class Downloads:
    """What one build fetches: each thing once, however many steps want it. Safe for use by many threads.

    Everything goes into `directory`, which is the build's own, and what comes is valid as long as that is there.
    """

    def __init__(self, directory: str, *, limits: FetchLimits = DEFAULT_LIMITS) -> None:
        self._directory = directory
        self._limits = limits
        self._flights = Flights()
        self._fetched: dict[tuple[str, str], FetchedFile | Tree] = {}

    def fetch(self, source: Remote, report: Reporter, cancellation: Cancellation) -> FetchedFile | Tree:
        """Return the file or the repository at `source`, and tell how a file comes, unless it is here already.

        A file has the mode 0600, belongs to root, and is as old as its server says, or of 1970. Raises `InvalidInput`
        where it is not what its checksum says, what `open_url` and `fetch_repository` raise, and `Cancelled`.
        """
        repository = is_repository(source.address)
        fetch = self._check_out if repository else self._download
        expected = _parse_commit(source.checksum) if repository else _parse_digest(source.checksum)
        key = source.address, expected if repository else ""
        with self._flights.turn(_digest_of(key), cancellation):
            if key not in self._fetched:
                self._fetched[key] = fetch(source.address, expected, report, cancellation)
            fetched = self._fetched[key]
        if isinstance(fetched, Directory):
            return fetched if source.keep_git_dir else _without_git(fetched)
        if expected and str(fetched.file.content.digest) != expected:
            raise InvalidInput(f"digest mismatch {fetched.file.content.digest}: {expected}")
        return fetched

    def _download(self, url: str, _expected: str, report: Reporter, cancellation: Cancellation) -> FetchedFile:
        digest, size, told = hashlib.sha256(), 0, 0
        try:
            descriptor, path = tempfile.mkstemp(dir=self._directory)
            with open(descriptor, "wb") as file, open_url(url, cancellation, limits=self._limits) as download:
                while piece := download.read(_PIECE):
                    digest.update(piece)
                    size += file.write(piece)
                    if size - told > _TELL_EVERY:
                        report(Status("Downloading", current=size, total=download.size))
                        told = size
                if told < size:
                    report(Status("Downloading", current=size, total=download.size))
                elif not size:
                    report(Status("Downloading", extra={"progressDetail": {}}))
                    report(Status(""))
        except OSError as error:
            raise SystemFailure(f"cannot keep what is downloaded: {os.strerror(error.errno or 0)}") from error
        content = Content(Digest(digest.hexdigest()), size, Extent(path))
        return FetchedFile(_name_of(url), File(mode=0o600, mtime_ns=download.modified_ns, content=content))

    def _check_out(self, address: str, expected: str, _report: Reporter, cancellation: Cancellation) -> Tree:
        repository = parse_repository(address)
        directory = tempfile.mkdtemp(dir=self._directory)
        return read_repository(repository, directory, cancellation, limits=self._limits, commit=expected)


def read_repository(
    repository: Repository, directory: str, cancellation: Cancellation, *, limits: FetchLimits, commit: str = ""
) -> Tree:
    """Return the directory of `repository` that is wanted, fetched into `directory`, with its `.git` if it is the root.

    Raises `InvalidInput` where there is no such directory, and what `fetch_repository` raises.
    """
    root = fetch_repository(repository, directory, cancellation, limits=limits, commit=commit)
    tree = read_directory(root, cancellation)
    if not repository.subdir:
        return tree
    node = find(tree, resolve(tree, repository.subdir))
    if node is None:
        raise InvalidInput(f"stat {repository.subdir}: no such file or directory")
    if not isinstance(node, Directory):
        raise InvalidInput(f"error setting git context, not a directory: {repository.subdir}")
    return node


def public_address(url: str) -> str:
    """Return `url` without its user, which may be a secret, and without its query, for the same reason."""
    scheme, _, rest = url.partition("#")[0].partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def _name_of(url: str) -> str:
    path = unquote(urlsplit(url).path, errors="surrogateescape").rstrip("/")
    name = path.rpartition("/")[2]
    return "" if name in {".", ".."} or "\0" in name else name


def _without_git(tree: Tree) -> Tree:
    """Return `tree` without what git keeps for itself, also of submodules: no commit can hold such a name."""
    hidden = [path for path, _ in walk(tree) if path.rpartition("/")[2] == ".git"]
    return apply(tree, Layer(tuple(Whiteout(path) for path in hidden)))


def _digest_of(key: tuple[str, str]) -> Digest:
    return Digest(hashlib.sha256("\n".join(key).encode("utf-8", "surrogateescape")).hexdigest())


# The texts are those of BuildKit and of the library that it reads digests with.


def _parse_digest(checksum: str) -> str:
    if not checksum or _SHA256.fullmatch(checksum):
        return checksum
    algorithm, _, encoded = checksum.partition(":")
    if algorithm == "sha256" and encoded and len(encoded) != 64:
        raise InvalidInput("invalid checksum digest length")
    if algorithm == "sha256" or not _ALGORITHM.fullmatch(checksum):
        raise InvalidInput("invalid checksum digest format")
    raise InvalidInput("unsupported digest algorithm")


def _parse_commit(checksum: str) -> str:
    if checksum and not _COMMIT.fullmatch(checksum.lower()):
        raise InvalidInput(f"invalid checksum {checksum[:100]} for a git source, expected the first digits of a commit")
    return checksum.lower()
