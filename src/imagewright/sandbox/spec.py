"""The runtime-spec document of a RUN: what its process may see, do and use.

https://github.com/opencontainers/runtime-spec/blob/main/config.md and config-linux.md (version 1.0.2)
"""

from dataclasses import dataclass, field
from typing import Any

from imagewright.errors import InvalidInput
from imagewright.sandbox.failures import creation_failure
from imagewright.sandbox.request import Limits, Network, Ulimit
from imagewright.sandbox.seccomp import inner_profile, seccomp_profile

__all__ = ["CAPABILITIES", "MASKED_PATHS", "READONLY_PATHS", "ContainerMount", "ContainerSpec", "runtime_spec"]

CAPABILITIES = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)

# What the Docker engine hides, and two more: interrupt counts and power readings are side channels.
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

_ULIMITS = frozenset(
    "as core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()  # noqa: SIM905
)
_UNLIMITED = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class ContainerMount:
    """One more mount: `source` is a path of the host or the kind again, `target` one of the container."""

    kind: str
    source: str
    target: str
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerSpec:
    """What `runtime_spec` needs to know; paths are of the host unless they are said to be of the container.

    `rootfs` is the mounted root. `binds` are (source, path in the container), and `mounts` are made after all others.
    A process that is to do everything is `insecure` and has other `capabilities`. `network_namespace` is the path of
    the namespace to join with `network="default"`. `architecture` is an OCI architecture, for the system-call filter,
    of which the runtime has the outer part already if it is `filtered`.
    """

    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    rootfs: str
    hostname: str
    binds: tuple[tuple[str, str], ...]
    network: Network
    network_namespace: str
    cgroup: str
    architecture: str
    filtered: bool = False
    limits: Limits = field(default_factory=Limits)
    shm_size: int = 64 << 20
    mounts: tuple[ContainerMount, ...] = ()
    insecure: bool = False
    capabilities: tuple[str, ...] = CAPABILITIES


def runtime_spec(run: ContainerSpec) -> dict[str, Any]:
    """Return the config.json of `run`; raise `InvalidInput` for a ulimit that does not exist."""
    return {
        "ociVersion": "1.0.2",
        "root": {"path": run.rootfs},
        "hostname": run.hostname,
        "process": _process(run),
        "mounts": _mounts(run),
        "linux": {
            "cgroupsPath": run.cgroup,
            "resources": _resources(run.limits, insecure=run.insecure),
            "namespaces": _namespaces(run),
            **({} if run.insecure else _confinement(run)),
            **_sysctl(run.network),
        },
    }


def _confinement(run: ContainerSpec) -> dict[str, Any]:
    profile = inner_profile(run.architecture) if run.filtered else seccomp_profile(run.architecture)
    seccomp = {} if profile is None else {"seccomp": profile}
    return {"maskedPaths": list(MASKED_PATHS), "readonlyPaths": list(READONLY_PATHS), **seccomp}


def _process(run: ContainerSpec) -> dict[str, Any]:
    names = list(run.capabilities)
    return {
        "terminal": False,
        # The primary group too: a process that gives it up must not gain what its group is denied (CVE-2022-36109).
        "user": {"uid": run.uid, "gid": run.gid, "additionalGids": list(dict.fromkeys((run.gid, *run.groups)))},
        "args": list(run.argv),
        "env": list(run.env),
        "cwd": run.cwd,
        "capabilities": {
            "bounding": names,
            # For others than root execve(2) would drop them anyway.
            "effective": names if run.uid == 0 else [],
            "permitted": names if run.uid == 0 else [],
            "inheritable": [],
            "ambient": [],
        },
        # Of two for one resource the last counts, as for the engine.
        "rlimits": list({limit["type"]: limit for limit in map(_rlimit, run.limits.ulimits)}.values()),
        "noNewPrivileges": False,
    }


def _rlimit(ulimit: Ulimit) -> dict[str, Any]:
    if ulimit.name.lower() not in _ULIMITS:
        raise InvalidInput(creation_failure(f"wrong rlimit value: RLIMIT_{ulimit.name.upper()}"))
    return {
        "type": f"RLIMIT_{ulimit.name.upper()}",
        "soft": ulimit.soft if ulimit.soft >= 0 else _UNLIMITED,
        "hard": ulimit.hard if ulimit.hard >= 0 else _UNLIMITED,
    }


def _mounts(run: ContainerSpec) -> list[dict[str, Any]]:
    still = ["nosuid", "noexec", "nodev"]
    access = "rw" if run.insecure else "ro"
    return [
        _mount("/proc", "proc", "proc", still),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/dev/shm", "tmpfs", "shm", [*still, "mode=1777", f"size={run.shm_size}"]),  # noqa: S108
        _mount("/dev/mqueue", "mqueue", "mqueue", still),
        _mount("/sys", "sysfs", "sysfs", [*still, access]),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*still, access]),
        *(_mount(target, "bind", source, ["bind", "rprivate"]) for source, target in run.binds),
        *(_mount(item.target, item.kind, item.source, list(item.options)) for item in run.mounts),
    ]


def _mount(destination: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": options}


def _namespaces(run: ContainerSpec) -> list[dict[str, str]]:
    namespaces = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "cgroup")]
    if run.network == "none":
        namespaces.append({"type": "network"})
    elif run.network == "default":
        namespaces.append({"type": "network", "path": run.network_namespace})
    return namespaces


def _resources(limits: Limits, *, insecure: bool) -> dict[str, Any]:
    memory = {"limit": limits.memory, "swap": limits.memory_swap}
    cpu = {
        "shares": limits.cpu_shares,
        "period": limits.cpu_period,
        "quota": limits.cpu_quota,
        "cpus": limits.cpuset_cpus,
        "mems": limits.cpuset_mems,
    }
    resources = {
        "memory": {name: value for name, value in memory.items() if value},
        "cpu": {name: value for name, value in cpu.items() if value},
        "pids": {"limit": limits.pids} if limits.pids else {},
    }
    # The runtime adds the devices that every container has, /dev/null and its kin, and making of device nodes.
    return {
        "devices": [{"allow": insecure, "access": "rwm"}],
        **{name: value for name, value in resources.items() if value},
    }


def _sysctl(network: Network) -> dict[str, Any]:
    # As the Docker engine sets them: ping and low ports work without root, in a namespace that nobody else uses.
    if network == "host":
        return {}
    return {"sysctl": {"net.ipv4.ping_group_range": "0 2147483647", "net.ipv4.ip_unprivileged_port_start": "0"}}
