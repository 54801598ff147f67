"""Times: what one sample is, and what is known of a number of them."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Series", "timed"]


@dataclass
class Series:
    """What was measured of one peer, in seconds unless the row says otherwise."""

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
