"""What a commit holds, before any of it becomes a file: how much that is, and which submodules."""

import os
import re
from collections.abc import Mapping

from imagewright.errors import InvalidInput
from imagewright.remote.limits import FetchLimits
from imagewright.remote.program import Git

__all__ = ["Contents", "read_contents", "read_submodules"]

_MOST_PATH = 4096
_LINK = b"160000"
_SETTING = re.compile(r"submodule\.(?P<name>.*)\.(?P<key>path|url)\n(?P<value>.*)", re.DOTALL)
_SETTINGS = r"^submodule\..*\.(path|url)$"


class Contents:
    """Counts what the trees of a repository and of its submodules hold, and keeps it within `limits`."""

    def __init__(self, limits: FetchLimits) -> None:
        self._limits = limits
        self._size = 0
        self._files = 0

    def add(self, size: int) -> None:
        """Count one file; raises `InvalidInput` where that is one too many, or too large."""
        self._files += 1
        self._size += size
        if self._files > self._limits.files or self._size > self._limits.size:
            raise InvalidInput(
                f"the repository holds more than {self._limits.files} files or {self._limits.size} bytes"
            )


def read_contents(
    git: Git, commit: str, directory: str, environment: Mapping[str, str], contents: Contents
) -> list[tuple[str, str]]:
    """Count the files of `commit` into `contents`, and return the submodules: paths, and the commits they are at.

    A tree may hold itself so often that no disk takes it; so this looks before anything is written.
    """
    links: list[tuple[str, str]] = []
    rest = b""

    def consume(data: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + data).split(b"\0")
        if len(rest) > 2 * _MOST_PATH:
            raise InvalidInput("the repository has a path that is too long")
        for line in lines:
            head, _, path = line.partition(b"\t")
            mode, _, name, size = head.split()
            contents.add(int(size) if size.isdigit() else 0)
            if mode == _LINK:
                links.append((os.fsdecode(path), name.decode()))

    outcome = git.run(
        *("ls-tree", "-r", "-l", "-z", "--full-tree", commit), at=directory, environment=environment, consume=consume
    )
    if outcome.status:
        raise InvalidInput("the repository is damaged")
    return links


def read_submodules(git: Git, commit: str, directory: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the addresses of submodules by their paths, as `.gitmodules` of `commit` has them."""
    outcome = git.run(
        *("config", "--blob", f"{commit}:.gitmodules", "--no-includes", "--null", "--get-regexp", _SETTINGS),
        at=directory,
        environment=environment,
    )
    settings: dict[str, dict[str, str]] = {}
    for entry in os.fsdecode(outcome.output).split("\0"):
        if match := _SETTING.fullmatch(entry):
            settings.setdefault(match["name"], {})[match["key"]] = match["value"]
    return {known["path"]: known["url"] for known in settings.values() if {"path", "url"} <= known.keys()}
