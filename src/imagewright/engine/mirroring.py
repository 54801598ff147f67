"""What is done where a mirror is to blame: what it promised and did not keep is had from the registry itself."""

from collections.abc import Callable
from typing import TypeVar

from imagewright.errors import Corrupt, InvalidInput, SystemFailure
from imagewright.reference import Reference
from imagewright.registry import Client

__all__ = ["fall_back"]

_T = TypeVar("_T")


def fall_back(client: Client, reference: Reference, attempt: Callable[[Client], _T]) -> _T:
    """Return what `attempt` gives; where it fails and a mirror may be the reason, it is made again without mirrors.

    An attempt must leave nothing behind when it fails. Mirrors that gave no manifest have been passed over before.
    """
    try:
        return attempt(client)
    except (Corrupt, InvalidInput, SystemFailure):
        if not client.uses_mirrors(reference):
            raise
    return attempt(client.without_mirrors())
