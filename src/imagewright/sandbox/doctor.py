"""What this machine can and cannot do."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "probe"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `name` ("runtime"), how it stands, what was found and, if it is not well, what to do."""

    name: str
    status: Literal["good", "limited", "bad"]
    detail: str
    advice: str = ""


def probe(*, runtime: str | None = None) -> list[Finding]:
    """Look at runtime, overlayfs, cgroups, network and git, changing nothing that stays; raises nothing."""
    raise NotImplementedError
