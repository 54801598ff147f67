"""A repository on real git servers, and what tests of contexts do with it."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import ImagewrightError
from imagewright.remote import Repository, fetch_repository, parse_remote
from support.engines import processes
from support.git_server import Repositories, git_daemon, git_over_http
from support.loopback import LoopbackServer

__all__ = ["LINK", "MODULE", "GitWorld", "fetch", "files", "git_world", "parse", "refusal"]

LINK = "120000"
MODULE = "160000"


@dataclass(frozen=True)
class GitWorld:
    """One repository, `main.git`, with a first and a second commit; and its servers."""

    repositories: Repositories
    server: LoopbackServer
    daemon: str
    first: str
    second: str

    def new(self, name: str) -> str:
        """Make an empty repository, and return its address."""
        self.repositories.create(name)
        return f"{self.server.url}/{name}"

    def new_with_module(self, name: str, address: str, *, commit: str = "") -> str:
        """Make a repository whose submodule `m` is `commit` of what is at `address`, and return its own address."""
        url = self.new(name)
        modules = f'[submodule "m"]\n\tpath = m\n\turl = {address}\n'
        self.repositories.commit(name, {".gitmodules": modules, "m": (MODULE, commit or self.second)})
        return url


@contextlib.contextmanager
def git_world(directory: Path) -> Iterator[GitWorld]:
    """Serve `main.git` and whatever else is made below `directory`, until the block ends."""
    repositories = Repositories(directory)
    repositories.create("main.git")
    program = ("100755", repositories.blob("main.git", "#!/bin/sh\n"))
    link = (LINK, repositories.blob("main.git", "/etc/passwd"))
    inner = ("040000", repositories.tree("main.git", {"in": program}))
    first = repositories.commit("main.git", {"a": "1", "d": inner, "l": link, "x": program})
    second = repositories.commit("main.git", {"a": "2", "d": inner, "l": link, "x": program})
    for name, commit in (("tags/v1", first), ("heads/feat/x", first), ("pull/1/head", first)):
        repositories.git("main.git", "update-ref", f"refs/{name}", commit)
    repositories.git("main.git", "tag", "-a", "-m", "x", "ann", first)
    repositories.git("main.git", "update-server-info")
    with git_over_http(repositories) as server, git_daemon(repositories) as daemon:
        yield GitWorld(repositories, server, daemon, first, second)


def parse(text: str) -> Repository:
    """Return the repository that `text` names."""
    repository = parse_remote(text)
    assert isinstance(repository, Repository)
    return repository


def fetch(place: Path, address: str, **options: object) -> Path:
    """Fetch what is at `address` into `place`, and return its root."""
    place.mkdir(exist_ok=True)
    repository = parse(address)
    return Path(fetch_repository(repository, str(place), Cancellation(), **options))  # type: ignore[arg-type]


def refusal(place: Path, address: str, **options: object) -> ImagewrightError:
    """Return why `address` cannot be fetched, which names no path, and after which no process is left."""
    with pytest.raises(ImagewrightError) as raised:
        fetch(place, address, **options)
    assert str(place) not in str(raised.value)
    assert not [line for line in processes() if str(place) in line]
    return raised.value


def files(root: Path) -> dict[str, bytes]:
    """Return every path below `root` with what is there."""
    found = {}
    for directory, names, plain in os.walk(root):
        for name in (*names, *plain):
            path = Path(directory, name)
            if path.is_symlink():
                found[str(path.relative_to(root))] = os.readlink(path).encode()
            elif path.is_file():
                found[str(path.relative_to(root))] = path.read_bytes()
    return found
