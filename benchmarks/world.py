"""What the workloads share: the peers, a directory, and the contexts of each round, made once."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from peers import Peer, Peers
from trees import Context, large_files, packed, site_packages, small_files, with_dockerfile

__all__ = ["World"]

_Kept = TypeVar("_Kept")


@dataclass
class World:
    """All that a workload has to do with; `quick` makes everything about a fifth of its size.

    What is `kept` ends with `stack`.
    """

    top: Path
    peers: Peers
    quick: bool
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _things: dict[str, object] = field(default_factory=dict)
    _trees: dict[str, Path] = field(default_factory=dict)
    _contexts: dict[str, Context] = field(default_factory=dict)

    def scaled(self, count: int) -> int:
        """Return `count`, or the fifth of it where this is the quick run."""
        return count // 5 if self.quick else count

    def has(self, peer: Peer) -> bool:
        """Return whether `peer` is one of the run's, and not one for a profile."""
        return peer in self.peers.builders.values()

    def kept(self, key: str, start: Callable[[], contextlib.AbstractContextManager[_Kept]]) -> _Kept:
        """Return what `key` stands for, which is started the first time and ends with the run."""
        if key not in self._things:
            self._things[key] = self.stack.enter_context(start())
        return cast("_Kept", self._things[key])

    def small(self, number: int, count: int = 20_000) -> Path:
        """Return the small files of a round."""
        count = self.scaled(count)
        return self._tree(f"small-{count}-{number}", lambda top, seed: small_files(top, seed, count))

    def site(self, number: int) -> Path:
        """Return the site-packages of a round."""
        count, size = self.scaled(11_600), self.scaled(250_000_000)
        return self._tree(f"site-{number}", lambda top, seed: site_packages(top, seed, count, size))

    def large(self, number: int, size: int = 1_600_000_000, count: int = 12) -> Path:
        """Return the large files of a round."""
        return self._tree(f"large-{number}", lambda top, seed: large_files(top, seed, count, self.scaled(size)))

    def run_tree(self) -> Context:
        """Return what a RUN is to write: 20,000 files, 250 MB."""
        count, size = self.scaled(20_000), self.scaled(250_000_000)
        tree = self._tree("run", lambda top, seed: site_packages(top, seed, count, size))
        if "run" not in self._contexts:
            self._contexts["run"] = packed(tree)
        return self._contexts["run"]

    def context(self, key: str, tree: Path | None, dockerfile: str) -> Context:
        """Return the context of `tree` with the Dockerfile; the one of before where `key` and `tree` are the same."""
        name = f"{key}-{tree.name if tree else ''}"
        if name not in self._contexts:
            if tree is None:
                top = self.top / "contexts" / name
                top.mkdir(parents=True)
                (top / "Dockerfile").write_text(dockerfile)
                self._contexts[name] = packed(top)
            else:
                self._contexts[name] = with_dockerfile(tree, key, dockerfile)
        return self._contexts[name]

    def _tree(self, key: str, make: Callable[[Path, int], Path]) -> Path:
        if key not in self._trees:
            self._trees[key] = make(self.top / "trees" / key, len(self._trees))
        return self._trees[key]
