import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from imagewright.build.mounting import Mounting
from imagewright.cancellation import Cancellation
from imagewright.dockerfile import parse_mount
from imagewright.errors import Cancelled
from imagewright.filesystem import EMPTY, Directory
from imagewright.plan import RunCommand, RunMount
from imagewright.sandbox import DirectoryMount

if TYPE_CHECKING:
    from imagewright.store import Store


class Caches:
    """Gives every key a directory, and remembers in which order they were taken and how."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.caches = self

    @contextlib.contextmanager
    def use(self, key: str, _name: str, mode: str, _fill: object, _cancellation: Cancellation) -> Iterator[str]:
        self.taken.append((key, mode))
        yield f"/{key}"


def take(*texts: str) -> tuple[list[tuple[str, str]], list[DirectoryMount]]:
    store = Caches()
    mounting = Mounting(store=cast("Store", store), context=lambda: EMPTY, directory="/none", secrets={}, agents={})
    mounts = tuple(RunMount(parse_mount(f"type=cache,id=c,{text}", str)) for text in texts)
    op = RunCommand(argv=("x",), env=(), user="", workdir="/", mounts=mounts)
    with mounting.made(op, [], EMPTY, Cancellation()) as made:
        return store.taken, [mount for mount in made.mounts if isinstance(mount, DirectoryMount)]


def test_caches_are_taken_in_one_order_whatever_tells_them_apart() -> None:
    # Or two steps that have them in different orders would wait for each other.
    texts = ("target=/a,mode=0700", "target=/b,mode=0755", "target=/c,uid=5", "target=/d,gid=5", "target=/e")
    there, _ = take(*texts)
    back, _ = take(*reversed(texts))
    assert there == back
    assert len({key for key, _ in there}) == len(texts)


def test_one_that_is_mounted_twice_is_taken_once_and_as_the_stricter_says() -> None:
    for texts in (("target=/a", "target=/b,sharing=locked"), ("target=/a,sharing=locked", "target=/b")):
        taken, mounts = take(*texts)
        assert [mode for _, mode in taken] == ["locked"]
        assert len({mount.directory for mount in mounts}) == 1
        assert all(mount.exclusive for mount in mounts)


def test_a_context_that_is_unpacked_for_a_mount_can_be_cancelled(tmp_path: Path) -> None:
    store, cancellation = cast("Store", Caches()), Cancellation()
    context = Directory(mode=0o755, children={"d": Directory(mode=0o755)})
    mounting = Mounting(store=store, context=lambda: context, directory=str(tmp_path), secrets={}, agents={})
    mounts = (RunMount(parse_mount("target=/x", str)),)
    op = RunCommand(argv=("x",), env=(), user="", workdir="/", mounts=mounts)
    cancellation.cancel()
    with pytest.raises(Cancelled), mounting.made(op, [], EMPTY, cancellation):
        pass
