"""The build context: a directory as a tar stream, without what a `.dockerignore` names.

The members are what the docker program sends (owner 0:0, whole seconds), so that both give the same image.
"""

import hashlib
import os
import re
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagewright.cli.ignoring import IGNORE_FILE, IgnoreFile, read_ignore_file
from imagewright.errors import InvalidInput, NotFound, SystemFailure
from imagewright.filesystem import IgnorePatterns

__all__ = ["Context", "ContextReader", "open_context"]

_CHUNK = 1 << 20
_BLOCK = tarfile.BLOCKSIZE
_TYPES = {
    stat.S_IFREG: tarfile.REGTYPE,
    stat.S_IFDIR: tarfile.DIRTYPE,
    stat.S_IFLNK: tarfile.SYMTYPE,
    stat.S_IFIFO: tarfile.FIFOTYPE,
    stat.S_IFCHR: tarfile.CHRTYPE,
    stat.S_IFBLK: tarfile.BLKTYPE,
}


@dataclass(frozen=True, slots=True)
class Context:
    """A directory to build from, what of it to leave out, and the name of the Dockerfile in what is sent.

    A Dockerfile from elsewhere is sent as the member `dockerfile` with `dockerfile_data`, and kept from COPY.
    """

    directory: str
    dockerfile: str
    ignore: IgnoreFile
    dockerfile_data: bytes | None = None

    @property
    def always_sent(self) -> set[str]:
        """The names that are sent even if they are ignored: the engine reads the files, and hides them from COPY."""
        return {IGNORE_FILE, self.dockerfile}

    def names(self) -> Iterator[str]:
        """Return the names that are sent, parents first, in the order of their bytes."""
        return _walk(self.directory, "", self.ignore.patterns, self.always_sent)

    def chunks(self) -> Iterator[bytes]:
        """Return the pieces of the tar; raises `InvalidInput` or `SystemFailure` for a tree that cannot be read."""
        made: dict[str, bytes] = {}
        if self.dockerfile_data is not None:
            made[self.dockerfile] = self.dockerfile_data
        hiding = self._hiding()
        if hiding is not None:
            made[IGNORE_FILE] = hiding
        seen: dict[tuple[int, int], str] = {}
        for name in self.names():
            if name not in made:
                yield from _member(self.directory, name, seen)
        for name, data in made.items():
            yield from _made_member(name, data)
        yield bytes(2 * _BLOCK)

    def _hiding(self) -> bytes | None:
        """Return the `.dockerignore` that has the engine hide what it must hide, None if it is the one that is there.

        What the engine hides are the Dockerfile and the `.dockerignore`, and it reads no other file for that.
        """
        own = _read_file(path) if os.path.isfile(path := os.path.join(self.directory, IGNORE_FILE)) else None
        hidden = {name for name in self.always_sent if self.ignore.patterns.ignored(name)}
        if self.dockerfile_data is not None:
            hidden.add(self.dockerfile)
        if own is None:
            lines = sorted({*hidden, IGNORE_FILE}) if hidden else []
            return _as_patterns(lines) if lines else None
        hidden_by_own = _hidden_by(own, self.always_sent)
        if hidden == hidden_by_own:
            return None
        if IGNORE_FILE in hidden:
            return _as_patterns(sorted(hidden))
        return own + b"\n" + _as_patterns(sorted(hidden - hidden_by_own), sorted(hidden_by_own - hidden))


def _hidden_by(data: bytes, names: set[str]) -> set[str]:
    try:
        patterns = IgnorePatterns.read(data)
    except InvalidInput:
        return set()  # the engine passes it over
    return {name for name in names if patterns.ignored(name)}


def _as_patterns(ignored: Sequence[str], shown: Sequence[str] = ()) -> bytes:
    lines = [re.sub(r"[*?\[\\]", r"\\\g<0>", name) for name in ignored] + [f"!{name}" for name in shown]
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


class ContextReader:
    """The chunks of a context as a stream to read from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def read(self, n: int, /) -> bytes:
        """Return at most `n` bytes, none at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        data, self._rest = self._rest[:n], self._rest[n:]
        return data


def open_context(directory: str, dockerfile: str | None) -> Context:
    """Return the context of `directory` with the Dockerfile at the path `dockerfile`, None for the usual name.

    Raises `NotFound` if one of them does not exist, `InvalidInput` if one is of the wrong kind.
    """
    if not os.path.isdir(directory):
        error = InvalidInput if os.path.exists(directory) else NotFound
        raise error(f"unable to prepare context: path {directory!r} is not a directory")
    if dockerfile is None:
        names = [name for name in ("Dockerfile", "dockerfile") if os.path.lexists(os.path.join(directory, name))]
        name = names[0] if names else "Dockerfile"
        return Context(directory, name, read_ignore_file(directory, os.path.join(directory, name)))
    if not os.path.isfile(dockerfile):
        error = InvalidInput if os.path.exists(dockerfile) else NotFound
        raise error(f"unable to read the Dockerfile: {dockerfile!r} is not a file")
    ignore = read_ignore_file(directory, dockerfile)
    parent = os.path.realpath(os.path.dirname(dockerfile))
    relative = os.path.relpath(os.path.join(parent, os.path.basename(dockerfile)), os.path.realpath(directory))
    if relative.partition("/")[0] != os.pardir:
        return Context(directory, relative, ignore)
    data = _read_file(dockerfile)
    return Context(directory, f".dockerfile.{hashlib.sha256(data).hexdigest()[:20]}", ignore, data)


def _read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _walk(root: str, name: str, patterns: IgnorePatterns, kept: set[str]) -> Iterator[str]:
    """Return the names below `name`, parents first, in the order of their bytes."""
    # A pattern that takes back what an earlier one left out may name something inside a directory left out.
    taking_back = any(pattern.startswith("!") for pattern in patterns.patterns)
    with os.scandir(os.path.join(root, name)) as entries:
        ordered = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    for entry in ordered:
        path = f"{name}/{entry.name}" if name else entry.name
        ignored = path not in kept and patterns.ignored(path)
        if not ignored:
            yield path
        holds_kept = any(keep.startswith(f"{path}/") for keep in kept)
        if entry.is_dir(follow_symlinks=False) and (not ignored or taking_back or holds_kept):
            yield from _walk(root, path, patterns, kept)


def _member(root: str, name: str, seen: dict[tuple[int, int], str]) -> Iterator[bytes]:
    path = os.path.join(root, name)
    status = os.lstat(path)
    kind = _TYPES.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return
    info = tarfile.TarInfo(name)
    info.type, info.mode = kind, stat.S_IMODE(status.st_mode)
    info.mtime = status.st_mtime_ns // 1_000_000_000
    if kind in {tarfile.CHRTYPE, tarfile.BLKTYPE}:
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    if kind == tarfile.SYMTYPE:
        info.linkname = os.readlink(path)
    if kind == tarfile.REGTYPE:
        first = seen.setdefault((status.st_dev, status.st_ino), name) if status.st_nlink > 1 else name
        if first != name:
            info.type, info.linkname = tarfile.LNKTYPE, first
        else:
            info.size = status.st_size
    yield _header(info)
    if info.size:
        yield from _data(path, name, info.size)


def _made_member(name: str, data: bytes) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    yield _header(info) + data + bytes(-len(data) % _BLOCK)


def _header(info: tarfile.TarInfo) -> bytes:
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _data(path: str, name: str, size: int) -> Iterator[bytes]:
    """Return `size` bytes of the file, padded; raise `SystemFailure` if it has become shorter."""
    left = size
    with open(path, "rb", buffering=0) as file:
        while left:
            data = file.read(min(left, _CHUNK))
            if not data:
                raise SystemFailure(f"{name} changed while it was read")
            left -= len(data)
            yield data
    yield bytes(-size % _BLOCK)
