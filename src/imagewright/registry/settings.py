"""What the operator says about registries."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Settings"]


def _environment() -> Mapping[str, str]:
    return dict(os.environ)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator says about registries; times in seconds, sizes in bytes.

    `mirrors` are URLs tried before Docker Hub; `insecure` are `host`, `host:port` or CIDR, for which certificates are
    not verified and plain http is tried; `certificates` is a directory laid out as Docker's `certs.d`; of `environment`
    the proxy variables are read.
    """

    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    certificates: str = "/etc/docker/certs.d"
    environment: Mapping[str, str] = field(default_factory=_environment, repr=False)
    connect_timeout: float = 10
    idle_timeout: float = 30
    upload_timeout: float = 300
    """How long a registry may take to put an upload into its place."""
    minimum_rate: int = 1024
    """Bytes a second, over `idle_timeout`, below which a transfer counts as broken."""
    tries: int = 5
    """How often in a row something is tried without getting any further."""
    back_off: float = 0.5
    """How long to wait before the first repetition; doubled each time."""
    longest_wait: float = 60
    """The most that a `Retry-After` is heeded."""
    upload_chunk: int = 64 << 20
    user_agent: str = "imagewright"
