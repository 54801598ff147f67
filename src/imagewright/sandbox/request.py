"""What is asked of a sandbox, as values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from imagewright.filesystem.tree import Directory
from imagewright.sandbox.mounts import Mount

__all__ = ["Channel", "Limits", "Network", "OutputSink", "RunRequest", "Ulimit"]

Channel = Literal["stdout", "stderr"]
Network = Literal["default", "none", "host"]

OutputSink = Callable[[Channel, bytes], None]
"""Takes a piece of output as it came; while it blocks, the process that writes is held up by its full pipe."""


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A resource limit of setrlimit(2); `name` as Docker spells it (`nofile`), -1 for no limit."""

    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the processes of one RUN may use together; 0 and `""` mean "as the machine has it".

    `memory` and `memory_swap` (memory and swap together, negative for no limit) in bytes, `cpu_period` and `cpu_quota`
    in microseconds, `cpu_shares` relative to 1024. `cgroup_parent` is the control group, seen from the root of each
    hierarchy, that the container's own is made in; it is made if it is missing, and stays. `check_limits` says which
    values cannot be.
    """

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cgroup_parent: str = ""
    pids: int = 4096
    ulimits: tuple[Ulimit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """One process to run on top of layer directories.

    `container_id` is 64 hexadecimal digits and unique among running containers. `lowers` are absolute paths of layer
    directories, highest first; nothing is written to them. `upper` is an existing directory that receives the changes
    as overlayfs has them; `work` is an empty directory on the same filesystem, made beside `upper` and removed again
    where it is not given. `env` holds `NAME=value` strings. `cwd` is absolute, and made if it is missing.
    `root` has the metadata of `/`, those of the highest lower directory if it is not given: a layer's directory form
    is shared by images whose roots differ.
    `hostname` is the first twelve digits of the id if empty. `extra_hosts` are (name, address) pairs for /etc/hosts.
    `scripts` are executable files by name, found in /dev/pipes. `shm_size` in bytes. `mounts` with targets that lie
    within each other are made from the outside in. `secret_env` is more of `env`, which reaches no disk.
    With `insecure` the process has every capability, every device and every system call.
    """

    container_id: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    lowers: tuple[str, ...]
    upper: str
    work: str = ""
    root: Directory | None = None
    network: Network = "default"
    hostname: str = ""
    extra_hosts: tuple[tuple[str, str], ...] = ()
    limits: Limits = field(default_factory=Limits)
    scripts: tuple[tuple[str, bytes], ...] = ()
    shm_size: int = 64 << 20
    mounts: tuple[Mount, ...] = ()
    secret_env: tuple[str, ...] = field(default=(), repr=False)
    insecure: bool = False
