"""The members of an archive of images, read once and never unpacked.

A large member goes to the store as the layer that it probably is, anything else is kept until it is known what the
archive says of it. Links are followed inside the archive only.
"""

import hashlib
import io
import os
import re
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from imagewright.archive import CHUNK, Entry, Readable, decompress, open_content, read_content, read_entries
from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, ImagewrightError, InvalidInput, SystemFailure
from imagewright.events import Reporter, Status
from imagewright.filesystem import Content, Extent, Symlink
from imagewright.filesystem.links import clean, follow
from imagewright.oci import Descriptor, Digest
from imagewright.store import Store

__all__ = ["Members", "blob_path", "quote"]

# The size of the largest document: what is larger can only be a layer.
_KEPT = 8 << 20
_PATH_LIMIT = 4096
_MOST_STEPS = 200_000
_BEGINNING = 512
_HEX = re.compile(r"[0-9a-f]{64}")

# What the engine's tar reader, a program of its own, says first.
_UNREADABLE = "Error processing tar file(exit status 1)"


@dataclass(frozen=True, slots=True)
class _File:
    """A regular file of an archive: kept (`content`), or given to the store as a layer, which went well or not.

    `digest` is of its bytes as they are in the archive, None where nobody will ask.
    """

    size: int
    digest: Digest | None = None
    content: Content | None = None
    diff_id: Digest | None = None
    error: ImagewrightError | None = None


class Members:
    """The members of an archive by their names; what is kept of them is in `directory`.

    `stored` are the layers that were given to the store on the way, whether they were new to it or not.
    """

    def __init__(self, store: Store, directory: str, report: Reporter, cancellation: Cancellation) -> None:
        self.stored: set[Digest] = set()
        self._store = store
        self._path = os.path.join(directory, "members")
        self._report = report
        self._cancellation = cancellation
        self._members: dict[str, _File | Symlink] = {}
        self._steps = 0

    def read(self, stream: Readable) -> None:
        """Read the archive from `stream`; raises `InvalidInput`, in the words of the engine, where it is no tar."""
        try:
            with open(self._path, "xb") as kept:
                for entry in read_entries(decompress(stream)):
                    self._cancellation.check()
                    self._take(entry, kept)
        except InvalidInput as error:
            raise InvalidInput(f"{_UNREADABLE}: {error}") from error
        except OSError as error:
            raise SystemFailure(f"cannot keep the archive: {os.strerror(error.errno or 0)}") from error

    def has(self, path: str) -> bool:
        """Whether there is a regular file at `path`."""
        return self._find(path) is not None

    def document(self, path: str, limit: int) -> bytes:
        """Return the file at `path`, a text in UTF-8 of `limit` bytes at most; raises `InvalidInput` if it is not."""
        file = self._get(path)
        if file.content is None or file.size > limit:
            raise InvalidInput(f"{quote(path)} has {file.size} bytes, more than the {limit} that are read of it")
        data = read_content(file.content, limit)
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{quote(path)} is no text in UTF-8") from error
        return data

    def blob(self, descriptor: Descriptor) -> str:
        """Return the path of the blob that `descriptor` describes; raises `Corrupt` if it is another."""
        path = blob_path(descriptor)
        file = self._get(path)
        if file.error is not None:
            raise _no_layer(path, file.error)
        if file.digest != descriptor.address:
            raise Corrupt(f"{quote(path)} does not match its digest")
        if file.size != descriptor.size:
            raise Corrupt(f"{quote(path)} has {file.size} bytes, not the {descriptor.size} that its descriptor says")
        return path

    def store_layer(self, number: int, path: str, diff_id: Digest) -> None:
        """See to it that the file at `path`, layer `number` of an image, is in the store as `diff_id`.

        Raises `InvalidInput` if it is no layer, and `Corrupt` if it is another.
        """
        self._cancellation.check()
        file = self._get(path)
        if file.content is not None:
            if self._store.has_layer(diff_id):
                return
            with open_content(file.content) as stream:
                file = self._give(file.size, stream)
        if file.error is not None:
            raise _no_layer(path, file.error)
        if file.diff_id != diff_id:
            expected = f'expected "{diff_id}", got "{file.diff_id}"'
            raise Corrupt(f"invalid diffID for layer {number}: {expected}")

    def _take(self, entry: Entry, kept: BinaryIO) -> None:
        path = clean(_short(entry.path))
        if entry.kind == "file":
            self._members[path] = self._keep(entry, kept) if entry.size <= _KEPT else self._pass_on(entry, path)
        elif entry.kind == "symlink":
            self._members[path] = Symlink(mode=0o777, target=_short(entry.link))
        elif entry.kind == "link":
            target = self._members.get(clean(_short(entry.link)))
            if target is None:
                raise InvalidInput(f"link {quote(entry.link)} {quote(entry.path)}: no such file or directory")
            self._members[path] = target
        else:
            self._members.pop(path, None)

    def _keep(self, entry: Entry, kept: BinaryIO) -> _File:
        start = kept.tell()
        digest = hashlib.sha256()
        for piece in entry.pieces():
            digest.update(piece)
            kept.write(piece)
        address = Digest(digest.hexdigest())
        return _File(entry.size, address, Content(address, entry.size, Extent(self._path, start)))

    def _pass_on(self, entry: Entry, path: str) -> _File:
        """Give a large member to the store, unless it has the layer whose diff_id is the member's name already."""
        name = path.rpartition("/")[2]
        source = _Source(entry, self._cancellation)
        if _HEX.fullmatch(name) and not source.compressed and self._store.has_layer(Digest(name)):
            source.hash()
            while source.read(CHUNK):
                pass
            return _File(entry.size, source.digest, diff_id=source.digest)
        if source.compressed and path.startswith("blobs/"):
            source.hash()
        file = self._give(entry.size, source)
        if source.error is not None:
            raise source.error
        return replace(file, digest=source.digest or file.diff_id)

    def _give(self, size: int, stream: Readable) -> _File:
        try:
            diff_id = self._store.add_layer_stream(stream)
        except InvalidInput as error:
            return _File(size, error=error)
        self.stored.add(diff_id)
        self._report(Status("Loading layer", subject=diff_id.short, current=size, total=size))
        return _File(size, diff_id=diff_id)

    def _get(self, path: str) -> _File:
        file = self._find(path)
        if file is None:
            raise InvalidInput(f"invalid archive: {quote(path)} is not in it")
        return file

    def _find(self, path: str) -> _File | None:
        root: str | Symlink = ""
        member = self._members.get(follow(root, _short(path), self._child))
        return member if isinstance(member, _File) else None

    def _child(self, here: str | Symlink, name: str) -> str | Symlink:
        # Links may lead through links that lead through links: what counts is the archive as a whole.
        self._steps += 1
        if self._steps > _MOST_STEPS:
            raise InvalidInput("invalid archive: too many links in it")
        path = f"{here}/{name}" if here else name
        member = self._members.get(path)
        return member if isinstance(member, Symlink) else path


class _Source:
    """The bytes of a member as a stream; `error` is what went wrong with the archive around it."""

    def __init__(self, entry: Entry, cancellation: Cancellation) -> None:
        self.error: InvalidInput | None = None
        self._cancellation = cancellation
        self._pieces = entry.pieces()
        self._rest = next(self._pieces)
        self._hash: Any = None
        self.compressed = _is_compressed(bytes(self._rest[:_BEGINNING]))

    @property
    def digest(self) -> Digest | None:
        """The digest of what was read, if it was asked for."""
        return None if self._hash is None else Digest(self._hash.hexdigest())

    def hash(self) -> None:
        """Ask for the digest, before anything is read."""
        self._hash = hashlib.sha256()

    def read(self, n: int, /) -> bytes:
        """Return some bytes, none at the end."""
        self._cancellation.check()
        try:
            rest = self._rest or next(self._pieces, memoryview(b""))
        except InvalidInput as error:
            self.error = error
            raise
        data, self._rest = bytes(rest[:n]), rest[n:]
        if self._hash is not None:
            self._hash.update(data)
        return data


def _is_compressed(beginning: bytes) -> bool:
    """Whether what begins so is, or could be, compressed."""
    try:
        return len(beginning) < _BEGINNING or decompress(io.BytesIO(beginning)).read(_BEGINNING) != beginning
    except InvalidInput:
        return True


def blob_path(descriptor: Descriptor) -> str:
    """Return where an image layout has the blob that `descriptor` describes; raises `InvalidInput` if nowhere."""
    return f"blobs/sha256/{descriptor.address.encoded}"


def _no_layer(path: str, error: ImagewrightError) -> InvalidInput:
    return InvalidInput(f"{_UNREADABLE}: {quote(path)}: {error}")


def _short(path: str) -> str:
    if len(path) > _PATH_LIMIT:
        raise InvalidInput(f"{quote(path)}: file name too long")
    return path


def quote(text: str) -> str:
    """Return `text` for a message: short, on one line, and of characters that every stream takes."""
    shown = text if len(text) <= 100 else f"{text[:100]}..."
    return '"' + shown.encode("unicode_escape").decode("ascii") + '"'
