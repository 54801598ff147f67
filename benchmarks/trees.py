"""Build contexts made up for a benchmark: the same for the same seed, on disk and as a tar.

Each round has contexts of its own, and none is removed before the end: on ext4, files made right after as many were
removed take ten times as long.
"""

import functools
import random
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Context", "edited", "large_files", "packed", "site_packages", "small_files", "with_dockerfile"]

_POOL_SIZE = 16 << 20


@dataclass(frozen=True)
class Context:
    """A context as a directory, for who wants one, and the `tar` of the same for who wants that."""

    tree: Path
    tar: Path
    size: int


def small_files(top: Path, seed: int, count: int) -> Path:
    """Write `count` files of 5 kB on average, fifty in each directory; return where."""
    source = random.Random(seed)  # noqa: S311 - no secret, but the same each time
    sizes = [min(int(source.expovariate(1 / 5200)) + 16, 60_000) for _ in range(count)]
    return _write(top, seed, [(f"d{n // 1000}/e{n // 50}/f{n}", size) for n, size in enumerate(sizes)])


def site_packages(top: Path, seed: int, count: int, size: int) -> Path:
    """Write `count` files of `size` bytes together, most of them small and a few very large; return where."""
    source = random.Random(seed)  # noqa: S311
    weights = [source.lognormvariate(0, 1.9) for _ in range(count)]
    scale = size / sum(weights)
    names = [f"lib/package{n // 120}/module{n // 12}/f{n}.py" for n in range(count)]
    return _write(top, seed, [(name, int(weight * scale)) for name, weight in zip(names, weights, strict=True)])


def large_files(top: Path, seed: int, count: int, size: int) -> Path:
    """Write `count` files of `size` bytes together; return where."""
    return _write(top, seed, [(f"model{n}.bin", size // count) for n in range(count)])


def packed(tree: Path) -> Context:
    """Return `tree` with the tar of it, which is made now."""
    tar = tree.with_name(tree.name + ".tar")
    subprocess.run(["tar", "--format=gnu", "-C", str(tree), "-cf", str(tar), "."], check=True)
    return Context(tree, tar, tar.stat().st_size)


def with_dockerfile(files: Path, name: str, dockerfile: str) -> Context:
    """Return `files` with a Dockerfile: a tar, and a directory of links to the same files."""
    tree = files.with_name(f"{files.name}-{name}")
    shutil.copytree(files, tree, copy_function=_link)
    (tree / "Dockerfile").write_text(dockerfile)
    return packed(tree)


def edited(context: Context, name: str, text: str) -> Context:
    """Return `context` with one file's content replaced by `text`."""
    tree = context.tree.with_name(f"{context.tree.name}-{name}")
    shutil.copytree(context.tree, tree, copy_function=_link)
    victim = next(path for path in sorted(tree.rglob("f*")) if path.is_file())
    victim.unlink()
    victim.write_text(text)
    return packed(tree)


def _link(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _write(top: Path, seed: int, files: list[tuple[str, int]]) -> Path:
    pool = _content()
    source = random.Random(seed + 1)  # noqa: S311
    made = set()
    for number, (name, size) in enumerate(files):
        path = top / name
        if path.parent not in made:
            path.parent.mkdir(parents=True)
            made.add(path.parent)
        with path.open("wb") as file:
            stamp = b"%d %d\n" % (seed, number)
            file.write(stamp[:size])
            missing = size - len(stamp)
            while missing > 0:
                start = source.randrange(len(pool) // 2)
                missing -= file.write(pool[start : start + min(missing, 1 << 20)])
    return top


@functools.cache
def _content() -> memoryview:
    """Return bytes of which half cannot be compressed and half is text."""
    source = random.Random(1)  # noqa: S311
    words = [source.randbytes(source.randrange(2, 9)).hex().encode() for _ in range(5000)]
    pieces = []
    for _ in range(_POOL_SIZE >> 17):
        pieces.append(source.randbytes(1 << 16))
        pieces.append(b" ".join(source.choices(words, k=8000))[: 1 << 16])
    return memoryview(b"".join(pieces))
