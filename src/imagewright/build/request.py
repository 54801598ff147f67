"""What is asked of a build, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.registry import Keychain, no_credentials

__all__ = ["BuildRequest", "Network"]

Network = Literal["default", "none", "host"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The parameters of a build.

    `dockerfile` is a path in the context, "" for `Dockerfile` or else `dockerfile`. `target` is a stage by name or
    number, "" for the last. With `check` the build checks are told as warnings. A build arg that is None is declared
    without a value. `remove` takes intermediate
    containers away after each step that succeeds, `force_remove` after every step. `platform` None is the machine's.
    With `pull` the registry is asked for images that are here, too; `keychain` says who asks.
    """

    dockerfile: str = ""
    tags: tuple[Reference, ...] = ()
    target: str = ""
    check: bool = False
    build_args: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    no_cache: bool = False
    remove: bool = True
    force_remove: bool = False
    platform: Platform | None = None
    network_mode: Network = "default"
    pull: bool = False
    keychain: Keychain = field(default=no_credentials, repr=False, compare=False)
