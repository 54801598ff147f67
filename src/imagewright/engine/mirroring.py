"""Pulls, where a mirror may be to blame: what it promised and did not keep is had from the registry itself."""

import functools
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from imagewright.engine import pulling
from imagewright.errors import Corrupt, InvalidInput, SystemFailure
from imagewright.reference import Reference
from imagewright.registry import Client
from imagewright.store import Store

__all__ = ["falling_back", "pull", "pull_tags"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


def falling_back(
    pull: Callable[Concatenate[Store, Client, Reference, _P], _T],
) -> Callable[Concatenate[Store, Client, Reference, _P], _T]:
    """Return `pull`, made again without mirrors where it fails and a mirror may be the reason.

    A pull must leave nothing behind when it fails. Mirrors that gave no manifest have been passed over before.
    """

    @functools.wraps(pull)
    def attempt(store: Store, client: Client, reference: Reference, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return pull(store, client, reference, *args, **kwargs)
        except (Corrupt, InvalidInput, SystemFailure):
            if not client.uses_mirrors(reference):
                raise
        return pull(store, client.without_mirrors(), reference, *args, **kwargs)

    return attempt


pull = falling_back(pulling.pull)
pull_tags = falling_back(pulling.pull_tags)
