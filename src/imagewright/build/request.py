"""What is asked of a build, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from imagewright.oci import Platform
from imagewright.reference import Reference
from imagewright.registry import Keychain, no_credentials
from imagewright.sandbox import Limits

__all__ = ["BuildRequest", "Entitlement", "Network", "Surroundings"]

Network = Literal["default", "none", "host"]
Entitlement = Literal["network.host", "security.insecure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What every RUN of a build finds around it.

    `shm_size` is in bytes; `extra_hosts` are `name:address`. What of these cannot be is an error of
    the first step that needs a container, as with the engine: a build without such steps does not look at them. None of
    them is part of a step's cache key, since the engine's is not either, and what they are has to do with the machine.
    """

    limits: Limits = field(default_factory=Limits)
    shm_size: int = 64 << 20
    extra_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """The parameters of a build.

    `remote` says where the context is: a URL of http or https, or a git repository; "" is the client. `dockerfile` is a
    path in the context, "" for `Dockerfile` or else `dockerfile`. `target` is a stage by name or number, "" for the
    last. A build arg that is None is declared without a value. `remove` takes intermediate containers away after each
    step that succeeds, `force_remove` after every step. `platform` None is the machine's. `squash` makes one layer of
    those that the build adds to its base. With `pull` the registry is asked for images that are here, too; `keychain`
    says who asks. `contexts` are what stages and images of these names are replaced by: names of images, or addresses;
    see `parse_contexts`. `cache_from` are names of images that steps may be taken from. With `explain` it is told why a
    step is not in the cache, with `check` what the build checks find.

    `secrets` are what `RUN --mount=type=secret` shows by its id, and nobody else; `agents` are paths of the sockets
    that `type=ssh` leads to. `allow` are `network.host` and `security.insecure`, for what RUN may ask for itself; the
    second the engine must allow as well.
    """

    remote: str = ""
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
    surroundings: Surroundings = field(default_factory=Surroundings)
    squash: bool = False
    pull: bool = False
    cache_from: tuple[str, ...] = ()
    contexts: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False, compare=False)
    agents: Mapping[str, str] = field(default_factory=dict)
    allow: frozenset[Entitlement] = frozenset()
    explain: bool = False
    keychain: Keychain = field(default=no_credentials, repr=False, compare=False)
