"""What the report has rows for: values with their goals, the work that gives them, and what was measured."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floors import Floor
from measuring import Series

if TYPE_CHECKING:
    from peers import Peer
    from world import World

__all__ = ["ABSOLUTE", "BEST", "OURS", "Goal", "Row", "Taken", "Values", "Verdict", "Workload", "verdicts"]

OURS = "imagewright"
BEST = "the best peer"
ABSOLUTE = "absolute"

# One value for each row of a workload, in their order; None where a peer has none.
Values = tuple[float | None, ...]


@dataclass(frozen=True)
class Goal:
    """`bound` times what `against` has, which is a peer or BEST; with ABSOLUTE, `bound` is the value itself."""

    bound: float
    against: str = BEST


@dataclass(frozen=True)
class Row:
    """One line of the table; `more` is better where the value is a rate. Without goals it is there to be known."""

    key: str
    title: str
    goals: tuple[Goal, ...]
    unit: str = "s"
    more: bool = False


@dataclass(frozen=True)
class Workload:
    """Work that gives the values of some rows.

    `sample` measures a peer in a round; `seed`, which is not measured, comes before the first round of a peer. `rounds`
    are those of the full run, of which podman, which is slow, takes part in `podman_rounds`; in the quick run there is
    one, and podman is in it where it is `podman_quick`. `peers` are those who can do it at all; `floors` gives one for
    each row.
    """

    rows: tuple[Row, ...]
    sample: Callable[["World", "Peer", int], Values]
    floors: Callable[["World"], tuple[Floor | None, ...]]
    rounds: int = 2
    podman_rounds: int = 1
    podman_quick: bool = False
    peers: tuple[str, ...] = (OURS, "classic", "BuildKit", "podman")
    seed: Callable[["World", "Peer"], None] | None = None
    profiled: bool = True

    @property
    def key(self) -> str:
        """The key of the first row."""
        return self.rows[0].key


@dataclass
class Taken:
    """What was measured for a row, by peer; `failures` says what went wrong with whom.

    `planned` and `done` count rounds.
    """

    row: Row
    series: dict[str, Series] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    floor: Floor | None = None
    planned: int = 0
    done: int = 0


@dataclass(frozen=True)
class Verdict:
    """What came of a goal: the `value` that it is about, a ratio mostly, or None where it could not be told."""

    goal: Goal
    value: float | None
    holds: bool


def verdicts(taken: Taken) -> list[Verdict]:
    """Return what came of each goal of the row."""
    return [_verdict(taken, goal) for goal in taken.row.goals]


def _verdict(taken: Taken, goal: Goal) -> Verdict:
    medians = {name: series.median for name, series in taken.series.items() if series.samples}
    value = medians.pop(OURS, None)
    if goal.against == BEST:
        against = (max if taken.row.more else min)(medians.values(), default=None)
    else:
        against = 1.0 if goal.against == ABSOLUTE else medians.get(goal.against)
    if value is None or not against:
        return Verdict(goal, None, holds=False)
    ratio = value / against
    return Verdict(goal, ratio, holds=ratio >= goal.bound if taken.row.more else ratio <= goal.bound)
