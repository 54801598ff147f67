"""The order of a run: a first round of everything, then further ones while there is time.

Those with the fewest rounds go on first, and of them the short ones. In a round all peers have their turns, another one
first each time. What fails for a peer is told in its row, and the peer is left out of that row from then on.
"""

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from measuring import Series
from peers import Peer
from rows import Taken, Workload
from world import World

__all__ = ["Budget", "Work", "first_round", "further_rounds"]

_PODMAN_SHARE = 0.6
_MARGIN = 1.2


@dataclass(frozen=True)
class Budget:
    """Until when, on the monotonic clock, rows are measured; `begun` is when that began."""

    begun: float
    end: float

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.end - time.monotonic()

    @property
    def used(self) -> float:
        """The share that is used."""
        return (time.monotonic() - self.begun) / (self.end - self.begun)


@dataclass
class Work:
    """A workload under way: what was `taken` for its rows, and how many seconds each peer's last turn was."""

    workload: Workload
    planned: int
    podman_planned: int
    taken: list[Taken] = field(default_factory=list)
    done: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    _seeded: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.taken = [Taken(row, planned=self.planned) for row in self.workload.rows]

    @property
    def cost(self) -> float:
        """The seconds that one more round is expected to take."""
        return _MARGIN * sum(seconds for name, seconds in self.seconds.items() if self._takes_part(name))

    def round(self, world: World, *, podman: bool = True) -> None:
        """Take one more round."""
        names = [name for name in world.peers.builders if name in self.workload.peers and self._takes_part(name)]
        names = names if podman else [name for name in names if name != "podman"]
        first = self.done % max(len(names), 1)
        for name in [*names[first:], *names[:first]]:
            self._turn(world, world.peers.builders[name], name)
        self.done += 1
        for taken in self.taken:
            taken.done = self.done

    def floors(self, world: World) -> None:
        """Measure the floors; none where that fails."""
        try:
            floors = self.workload.floors(world)
        except Exception as error:  # noqa: BLE001 - a run is not given up for one value
            print(f"  floor of {self.workload.key}: {_short(error)}", flush=True)
            return
        for taken, floor in zip(self.taken, floors, strict=True):
            taken.floor = floor

    def _takes_part(self, name: str) -> bool:
        return name not in self.taken[0].failures and (name != "podman" or self.done < self.podman_planned)

    def _turn(self, world: World, peer: Peer, name: str) -> None:
        try:
            if self.workload.seed and name not in self._seeded:
                self.workload.seed(world, peer)
                self._seeded.add(name)
            begun = time.monotonic()
            values = self.workload.sample(world, peer, self.done)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one peer, the others are measured
            for taken in self.taken:
                taken.failures[name] = _short(error)
            return
        self.seconds[name] = time.monotonic() - begun
        for taken, value in zip(self.taken, values, strict=True):
            if value is not None:
                taken.series.setdefault(name, Series()).samples.append(value)


def first_round(world: World, workloads: Iterable[Workload], budget: Budget, rounds: int) -> list[Work]:
    """Take one round of each, the floors too; `rounds` are planned instead of the workload's own if that is not 0.

    Podman is left out from where much of the time is used, and what is left when it is up is not measured.
    """
    works = []
    for workload in workloads:
        planned = rounds or (1 if world.quick else workload.rounds)
        podman = int(workload.podman_quick) if world.quick else workload.podman_rounds
        work = Work(workload, planned, podman)
        works.append(work)
        if budget.left <= 0:
            continue
        begun = time.monotonic()
        work.round(world, podman=budget.used < _PODMAN_SHARE)
        work.floors(world)
        _tell(work, time.monotonic() - begun)
    return works


def further_rounds(world: World, works: list[Work], budget: Budget) -> None:
    """Take the rounds that are planned, as long as the next one is expected to end in time."""
    while True:
        fitting = [work for work in works if 0 < work.done < work.planned and work.cost < budget.left]
        if not fitting:
            return
        work = min(fitting, key=lambda work: (work.done, work.cost))
        begun = time.monotonic()
        work.round(world)
        _tell(work, time.monotonic() - begun)


def _tell(work: Work, seconds: float) -> None:
    for taken in work.taken:
        cells = [
            f"{name} {series.samples[-1]:.3f}"
            for name, series in taken.series.items()
            if len(series.samples) == work.done
        ]
        failed = [f"{name} failed: {why}" for name, why in taken.failures.items()]
        floor = [f"floor {taken.floor.value:.3f}"] if taken.floor and work.done == 1 else []
        print(f"{taken.row.key:16} {work.done}: {', '.join(cells + floor + failed)} {taken.row.unit}", flush=True)
    turns = ", ".join(f"{name} {spent:.0f}" for name, spent in work.seconds.items())
    print(f"{'':19}[{seconds:.0f} s: {turns}]", flush=True)


def _short(error: Exception) -> str:
    """Return the last line of what went wrong, without what is this machine's own."""
    line = next(reversed(str(error).strip().splitlines()), "") or type(error).__name__
    return re.sub(r"/[^\s:'\"]{6,}", "…", line)[:120]
