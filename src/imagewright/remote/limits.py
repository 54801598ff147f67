"""How much of a stranger's answer is too much."""

from dataclasses import dataclass

__all__ = ["DEFAULT_LIMITS", "FetchLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How long a fetch may take, in seconds (to connect, in silence, in all), and the bytes that a body may have."""

    connect: float = 10
    idle: float = 30
    total: float = 15 * 60
    size: int = 4 << 30


DEFAULT_LIMITS = FetchLimits()
