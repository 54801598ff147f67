"""How imagewright's times grow: with the files of a context, the steps of a build, and the images that there are.

`growth` is a part of what `make bench` measures; this file run alone prints the same, and `--docs DIR` says where the
curves go.
"""

import argparse
import math
import os
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))

from many_images import list_times
from measuring import timed
from peers import Engine, Peers
from plots import Curve, plot
from trees import Context
from world import World

from support.bases import busybox_base
from support.daemon import daemon

__all__ = ["growth", "small_members"]

_BLOCK = 512
_POOL_SIZE = 1 << 20
_MEAN_SIZE = 5200
_COPY = "FROM scratch\nCOPY . /\n"
_COPY_RUN = "FROM base:1\nCOPY . /data\nRUN true\n"
_FLAT, _STRAIGHT = 0.15, 1.1


@dataclass
class _Row:
    """What one thing takes, in seconds, for each of some counts."""

    title: str
    seconds: dict[int, list[float]] = field(default_factory=dict)

    def add(self, count: int, seconds: float) -> None:
        """Note one sample."""
        self.seconds.setdefault(count, []).append(seconds)

    @property
    def points(self) -> list[tuple[float, float]]:
        """The medians."""
        return [(count, statistics.median(samples)) for count, samples in sorted(self.seconds.items())]

    @property
    def exponents(self) -> tuple[float, float]:
        """The slope between logarithms: of the line through all points that fits best, and between the last two."""
        logs = [(math.log(x), math.log(y)) for x, y in self.points]
        (x, y), (last_x, last_y) = logs[-2:]
        fit = statistics.linear_regression(*zip(*logs, strict=True))
        return fit.slope, (last_y - y) / (last_x - x)

    @property
    def verdict(self) -> str:
        """What the curve is, by its end, where what does not grow matters least."""
        last = self.exponents[1]
        return "flat" if last <= _FLAT else "straight" if last <= _STRAIGHT else "steeper than straight"


def growth(world: World, docs: Path) -> str:
    """Measure all curves; return them as Markdown, with plots in the directory `benchmarks` of `docs`."""
    directory = docs / "benchmarks"
    directory.mkdir(parents=True, exist_ok=True)
    parts = [_INTRODUCTION]
    for name, title, unit, rows in (
        ("growth-files", "A build, by the files of its context", "files", _files(world)),
        ("growth-steps", "A build, by its steps: instructions in turn", "steps", _steps(world)),
        ("growth-images", "The image list, by the images there are", "images", _images(world)),
    ):
        curves = [Curve(row.title, row.points) for row in rows]
        (directory / f"{name}.svg").write_text(plot(title, unit, curves, shown))
        parts.append(_section(name, title, unit, rows))
    return "\n".join(parts)


_INTRODUCTION = """\
Medians of this run. The exponent is the slope between the logarithms: 0 where twice as much takes no longer, 1 where it
takes twice as long; over all, and from the last but one to the last, where what a build takes in any case weighs least.
By the second it is called flat (to 0.15) or straight (to 1.1); the dashed line is as steep as 1.

What is steeper: each RUN mounts all layers before it, so that COPY and RUN in turn take a little more the more there
are. A list of 100,000 images after a change is joined from a piece for each, 30 MB that no longer fit into the caches
of a processor; the next one is put by.
"""


def _section(name: str, title: str, unit: str, rows: Sequence[_Row]) -> str:
    counts = sorted(rows[0].seconds)
    head = [
        f"\n### {title}\n",
        f"![{title}](benchmarks/{name}.svg)\n",
        f"| {unit} | {' | '.join(f'{count:,}' for count in counts)} | exponent, at the end | |",
        f"|---|{'---|' * len(counts)}---|---|",
    ]
    for row in rows:
        cells = " | ".join(shown(seconds) for _, seconds in row.points)
        over_all, last = row.exponents
        head.append(f"| {row.title} | {cells} | {over_all:.2f}, {last:.2f} | {row.verdict} |")
    return "\n".join([*head, ""])


def shown(seconds: float) -> str:
    """Return a time to two digits that count."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.2g} ms" if seconds < 0.1 else f"{seconds * 1e3:.0f} ms"


def _files(world: World) -> list[_Row]:
    counts = (1000, 10_000) if world.quick else (1000, 10_000, 100_000)
    rounds = dict(zip(counts, (1, 1) if world.quick else (5, 3, 1), strict=True))
    cold, cached, unpacked, written = (
        _Row(title) for title in ("COPY", "COPY, cached", "COPY, then RUN", "RUN that writes them")
    )
    engine = world.peers.ours
    for count in counts:
        for number in range(rounds[count]):
            pack = _Pack(world.top / f"growth-{count}-{number}.tar", number, count)
            context = pack.finished(_COPY)
            cold.add(count, _build_time(engine, context))
            for _ in range(3):
                cached.add(count, _build_time(engine, context))
            unpacked.add(count, _build_time(engine, pack.finished(_COPY_RUN)))
            pack.path.unlink()
            writing = world.context(f"growth-writing-{count}-{number}", None, _writing(count, number))
            written.add(count, _build_time(engine, writing))
    return [cold, cached, unpacked, written]


def _steps(world: World) -> list[_Row]:
    engine, rounds = world.peers.ours, 1 if world.quick else 2
    counts = (10, 50) if world.quick else (10, 50, 120)
    rows = []
    for title, dockerfile in (("ENV, LABEL, COPY, RUN", _mixed), ("COPY, RUN", _layered)):
        cold, cached = _Row(title), _Row(f"{title}, cached")
        for number in range(rounds):
            for count in counts:
                # No two builds have a step in common.
                mark = number * 1000 + count
                context = _stepped(world, dockerfile(count, mark), f"{dockerfile.__name__}-{mark}")
                cold.add(count, _build_time(engine, context))
                for _ in range(5):
                    cached.add(count, _build_time(engine, context))
        rows += [cold, cached]
    return rows


def _images(world: World) -> list[_Row]:
    rows: dict[str, _Row] = {}
    counts = (10, 100, 1000, 10_000) if world.quick else (10, 100, 1000, 10_000, 100_000)
    for count in counts:
        for title, seconds in list_times(world.top / f"images-{count}", count).items():
            rows.setdefault(title, _Row(title)).add(count, seconds)
    return list(rows.values())


def _build_time(engine: Engine, context: Context) -> float:
    """Build with the cache, in which a context is once it was built."""
    return timed(lambda: engine.build(context, "growth:1", cache=True))


def _writing(count: int, number: int) -> str:
    """Return the Dockerfile of a RUN that writes `count` small files, fifty in each directory."""
    loop = f"i=0; while [ $i -lt {count} ]; do d=/out/$((i / 1000))/$((i / 50))"
    body = f"[ $((i % 50)) -ne 0 ] || mkdir -p $d; echo {number} $i > $d/$i; i=$((i + 1))"
    return f"FROM base:1\nRUN {loop}; {body}; done\n"


def _mixed(count: int, number: int) -> str:
    kinds: tuple[Callable[[int], str], ...] = (
        lambda n: f"ENV V{n}={number}",
        lambda n: f"LABEL l{n}={number}",
        lambda n: f"COPY f{n % 10} /copied/{number}/{n}",
        lambda n: f"RUN true {number} {n}",
    )
    return "\n".join(["FROM base:1", *(kinds[n % 4](n) for n in range(count)), ""])


def _layered(count: int, number: int) -> str:
    """Return a Dockerfile of which every step makes a layer."""
    steps = (f"COPY f{n % 10} /{number}/{n}" if n % 2 else f"RUN echo {number} > /r{n}" for n in range(count))
    return "\n".join(["FROM base:1", *steps, ""])


def _stepped(world: World, dockerfile: str, name: str) -> Context:
    path = world.top / f"growth-steps-{name}.tar"
    with path.open("wb") as file:
        for number in range(10):
            file.write(_member(f"f{number}", b"small %d\n" % number))
        file.write(_member("Dockerfile", dockerfile.encode()) + bytes(2 * _BLOCK))
    return Context(path, path, path.stat().st_size)


class _Pack:
    """The tar of a context of `count` files of 5 kB on average, fifty in each directory, written to `path`.

    There is no directory of the same files: to make and remove so many would slow down what is measured.
    """

    def __init__(self, path: Path, seed: int, count: int) -> None:
        self.path = path
        with path.open("wb", buffering=1 << 20) as file:
            for member in small_members(seed, count):
                file.write(member)
            self._end = file.tell()

    def finished(self, dockerfile: str) -> Context:
        """Return the context with this Dockerfile, in place of the one it had before."""
        with self.path.open("r+b") as file:
            file.truncate(self._end)
            file.seek(self._end)
            file.write(_member("Dockerfile", dockerfile.encode()) + bytes(2 * _BLOCK))
        return Context(self.path, self.path, self.path.stat().st_size)


def small_members(seed: int, count: int) -> Iterator[bytes]:
    """Yield `count` files of 5 kB on average, fifty in each directory, as they are in a tar."""
    # A generator of our own, since only different sizes and contents are wanted: 100,000 times Random is slow.
    pool = bytes(range(256)) * (_POOL_SIZE >> 8)
    for number in range(count):
        size = (number * 7919 + seed) % (2 * _MEAN_SIZE)
        data = b"%d %d\n" % (seed, number) + pool[number % 4096 : number % 4096 + size]
        yield _member(f"d{number // 1000}/e{number // 50}/f{number}", data)


def _member(name: str, data: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % _BLOCK)


def main() -> None:
    """Measure with a daemon of this program's own, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the most of each")
    parser.add_argument("--docs", type=Path, default=Path(__file__).parent.parent / "docs", metavar="DIR")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="imagewright-bench-") as directory, daemon(directory) as server:
        ours = Engine("imagewright", server.socket, server.process.pid)
        ours.import_base(busybox_base(), "base")
        alone = Peers(ours, ours, None, None, server, None)  # type: ignore[arg-type]
        print(growth(World(Path(directory), alone, chosen.quick), chosen.docs))


if __name__ == "__main__":
    main()
