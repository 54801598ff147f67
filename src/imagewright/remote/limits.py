"""How much of a stranger's answer is too much."""

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "FetchLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long a fetch may take, in seconds (to connect, in silence, in all), and the bytes that it may bring.

    Of a repository, `size` is what it takes on the disk, and `files` how many it may hold.
    """

    connect: float = 10
    idle: float = 30
    total: float = 15 * 60
    size: int = 4 << 30
    files: int = 1_000_000


DEFAULT_LIMITS = FetchLimits()
