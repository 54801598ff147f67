"""Times: what one sample is, and rounds in which all take their turns."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

__all__ = ["Series", "interleave", "timed"]


@dataclass
class Series:
    """What was measured of one peer, in seconds unless the workload says otherwise."""

    samples: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median sample."""
        return statistics.median(self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the most sample."""
        return min(self.samples), max(self.samples)


def timed(action: Callable[[], object]) -> float:
    """Return the seconds that `action` takes, what others have written before being on the disk already."""
    os.sync()
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def interleave(names: Sequence[str], rounds: int, sample: Callable[[str, int], float | None]) -> dict[str, Series]:
    """Take `sample(name, round)` of each name in each round, another one first each time; None is no sample."""
    taken = {name: Series() for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in [*names[first:], *names[:first]]:
            value = sample(name, number)
            if value is not None:
                taken[name].samples.append(value)
    return {name: series for name, series in taken.items() if series.samples}
