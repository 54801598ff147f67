"""The directories of cache mounts: kept from build to build, apart from all images.

What they hold is derived by definition, so nothing of it is synced, and none of it is in the database.
"""

import contextlib
import hashlib
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

from imagewright.cancellation import Cancellation
from imagewright.errors import SystemFailure
from imagewright.store.disk import remove_tree, translated

__all__ = ["CacheDirectory", "Caches", "Fill", "UseMode"]

UseMode = str
"""How a directory is shared: `shared` by all, `locked` by one after the other, `private` to one of several."""

Fill = Callable[[str], None]
"""Writes into a new directory what it begins with."""

_ABOUT = "about"
_DATA = "data"
_TICK = 0.05
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class CacheDirectory:
    """One directory: `id` is what prune and listings call it, `name` what the Dockerfile does.

    Times in nanoseconds since 1970, `size` in bytes on the disk; `in_use` says that a RUN has it now.
    """

    id: str
    name: str
    sharing: UseMode
    created_ns: int
    used_ns: int
    uses: int
    size: int
    in_use: bool


class _About(msgspec.Struct, kw_only=True):
    name: str
    sharing: str
    created_ns: int
    used_ns: int
    uses: int = 0


@dataclass(slots=True)
class _Holders:
    """Who has a directory now, and whether one of them makes it, for which the others wait."""

    count: int = 0
    alone: bool = False
    making: bool = False


@dataclass(slots=True)
class _State:
    holders: dict[str, _Holders] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


class Caches:
    """The cache directories below `root`, which is made if it is missing. Thread-safe; one process has them.

    What has no description, because somebody was killed, is removed on construction.
    `ingest` is an existing directory of the same filesystem, for what is not finished and for what is to be removed.
    """

    def __init__(self, root: str, ingest: str, *, clock: Callable[[], int]) -> None:
        self._root = root
        self._ingest = ingest
        self._clock = clock
        self._state = _State()
        self._changed = threading.Condition()
        with translated("cannot make the directory of caches"):
            os.makedirs(root, 0o700, exist_ok=True)
            for identity in os.listdir(root):
                if _read(f"{root}/{identity}") is None:
                    remove_tree(f"{root}/{identity}")

    @contextlib.contextmanager
    def use(self, key: str, name: str, mode: UseMode, fill: Fill, cancellation: Cancellation) -> Iterator[str]:
        """Yield the path of the directory for `key`, which nobody removes meanwhile; `fill` fills a new one.

        `locked` waits for all others to end, `shared` for one that has it locked, and `private` takes another
        directory of the key where the first is in use. Nobody waits for what is done with the directory of another key.
        Raises `Cancelled` while waiting, `SystemFailure`, and what `fill` raises, after which there is no directory.
        """
        identity = self._take(key, name, mode, cancellation)
        try:
            yield self._prepare(identity, name, mode, fill, cancellation)
        finally:
            self._give_back(identity)

    def _take(self, key: str, name: str, mode: UseMode, cancellation: Cancellation) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        with self._changed:
            for number in range(1 << 16):
                identity = digest if not number else f"{digest}-{number}"
                while True:
                    cancellation.check()
                    holders = self._state.holders.setdefault(identity, _Holders())
                    if holders.count == 0 or (mode == "shared" and not holders.alone):
                        holders.count += 1
                        holders.alone = mode != "shared"
                        return identity
                    if mode == "private":
                        break
                    self._wait()
        raise SystemFailure(f"all directories of the cache {name} are in use")

    def _wait(self) -> None:
        # Not longer: whoever cancels does not know that somebody waits here.
        self._changed.wait(_TICK)

    def _give_back(self, identity: str) -> None:
        with self._changed:
            holders = self._state.holders[identity]
            holders.count -= 1
            if holders.count == 0:
                del self._state.holders[identity]
            self._changed.notify_all()

    def _prepare(self, identity: str, name: str, mode: UseMode, fill: Fill, cancellation: Cancellation) -> str:
        """Return the directory, made if it is new, after noting that it is used."""
        path = f"{self._root}/{identity}"
        with translated(f"cannot prepare the cache directory {name}"):
            if self._begin_making(identity, cancellation):
                try:
                    now_ns = self._clock()
                    self._make(path, _About(name=name, sharing=mode, created_ns=now_ns, used_ns=now_ns), fill)
                finally:
                    self._end_making(identity)
            with self._changed:
                about = _read(path)
                if about is None:
                    raise SystemFailure(f"the cache directory {name} is gone")
                about.used_ns = self._clock()
                about.uses += 1
                about.sharing = mode
                self._state.sizes.pop(identity, None)
                _write(path, about)
        return f"{path}/{_DATA}"

    def _begin_making(self, identity: str, cancellation: Cancellation) -> bool:
        """Return whether the caller, who holds the directory, is to make it; it is there otherwise."""
        with self._changed:
            holders = self._state.holders[identity]
            while holders.making:
                cancellation.check()
                self._wait()
            holders.making = _read(f"{self._root}/{identity}") is None
            return holders.making

    def _end_making(self, identity: str) -> None:
        with self._changed:
            self._state.holders[identity].making = False
            self._changed.notify_all()

    def _make(self, path: str, about: _About, fill: Fill) -> None:
        made = f"{self._ingest}/{secrets.token_hex(8)}"
        try:
            os.makedirs(f"{made}/{_DATA}", 0o700)
            os.chmod(f"{made}/{_DATA}", 0o755)  # noqa: S103 - it is mounted in a container, where others use it
            try:
                fill(f"{made}/{_DATA}")
            except SystemFailure as error:
                raise SystemFailure(f"cannot fill the cache directory {about.name}: {error}") from error
            _write(made, about)
            remove_tree(path)
            os.rename(made, path)
        finally:
            remove_tree(made)

    def list(self) -> list[CacheDirectory]:
        """Return all directories, the one used last first; those used since the last time are measured."""
        found = []
        with translated("cannot read the caches"):
            for identity in os.listdir(self._root):
                about = _read(f"{self._root}/{identity}")
                if about is not None:
                    found.append(self._describe(identity, about))
        return sorted(found, key=lambda cache: (-cache.used_ns, cache.id))

    def _describe(self, identity: str, about: _About) -> CacheDirectory:
        with self._changed:
            in_use = identity in self._state.holders
            known = self._state.sizes.get(identity)
        if known is None or known[0] != about.uses or in_use:
            known = (about.uses, _measure(f"{self._root}/{identity}/{_DATA}"))
            with self._changed:
                self._state.sizes[identity] = known
        return CacheDirectory(
            id=identity,
            name=about.name,
            sharing=about.sharing,
            created_ns=about.created_ns,
            used_ns=about.used_ns,
            uses=about.uses,
            size=known[1],
            in_use=in_use,
        )

    def remove(self, identity: str) -> bool:
        """Remove a directory; return whether it was there and nobody had it."""
        path = f"{self._root}/{identity}"
        doomed = f"{self._ingest}/{secrets.token_hex(8)}"
        with self._changed:
            if identity in self._state.holders:
                return False
            try:
                os.rename(path, doomed)
            except FileNotFoundError:
                return False
            self._state.sizes.pop(identity, None)
        with translated("cannot remove a cache directory"):
            remove_tree(doomed)
        return True


def _read(path: str) -> _About | None:
    try:
        with open(f"{path}/{_ABOUT}", "rb") as file:
            return msgspec.json.decode(file.read(), type=_About)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: str, about: _About) -> None:
    """Write the description atomically: one that is cut would cost the whole directory."""
    with open(f"{path}/{_ABOUT}.new", "wb") as file:
        file.write(msgspec.json.encode(about))
    os.rename(f"{path}/{_ABOUT}.new", f"{path}/{_ABOUT}")


def _measure(path: str) -> int:
    """Return the bytes on the disk below `path`, hard links once; what vanishes meanwhile does not count.

    A RUN may be at work there, which must not lead elsewhere by links that it puts in the place of directories: the
    kernel resolves one name at a time, from a descriptor.
    """
    total = 0
    seen: set[tuple[int, int]] = set()

    def look(here: int) -> tuple[tuple[int, int], list[str]]:
        """Count what is in the directory `here`; return what tells it from others, and the directories in it."""
        nonlocal total
        names = []
        with os.scandir(here) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        names.append(entry.name)
                    elif status.st_nlink > 1:
                        if _inode(status) in seen:
                            continue
                        seen.add(_inode(status))
                    total += status.st_blocks * 512
        return _inode(os.fstat(here)), names

    try:
        here = os.open(path, _DIRECTORY)
    except OSError:
        return 0
    try:
        levels = [look(here)]
        while len(levels) > 1 or levels[0][1]:
            if levels[-1][1]:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    here = _moved(here, levels[-1][1].pop())
                    levels.append(look(here))
                continue
            levels.pop()
            here = _moved(here, "..")
            if _inode(os.fstat(here)) != levels[-1][0]:
                break  # the directory was moved; while somebody is at work there, the next list measures again
    except OSError:
        pass
    finally:
        os.close(here)
    return total


def _inode(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _moved(here: int, name: str) -> int:
    """Return a descriptor of the directory `name` in `here`, and close that; it is left open if there is none."""
    there = os.open(name, _DIRECTORY, dir_fd=here)
    os.close(here)
    return there
