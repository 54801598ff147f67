"""Which limits a RUN can have: what the engine refuses before it makes a container, and what this machine can do."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.sandbox.cgroups import Hierarchies, find_hierarchies
from imagewright.sandbox.request import Limits

__all__ = ["check_limits", "clean_parent", "possible_limits"]

_LEAST_MEMORY = 6 << 20
_CPU_PERIODS = range(1_000, 1_000_001)
_LEAST_CPU_QUOTA = 1_000
_LAST_CPU = 8192
_NUMBER = re.compile(r"[0-9]{1,18}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PARENT_LENGTH = 1024
# What each limit needs of the machine.
_CONTROLLERS = {
    "memory": "memory",
    "cpu_shares": "cpu",
    "cpu_period": "cpu",
    "cpu_quota": "cpu",
    "cpuset_cpus": "cpuset",
    "cpuset_mems": "cpuset",
}


def check_limits(
    limits: Limits, *, shm_size: int, extra_hosts: Sequence[str], hierarchies: Hierarchies | None = None
) -> tuple[tuple[str, str], ...]:
    """Return `extra_hosts` (`name:address`) as pairs, if these and the limits can be.

    Raises `InvalidInput` with the engine's text for the first, in its order, that cannot; `hierarchies` are this
    machine's if they are not given.
    """
    hosts = tuple(map(_host, extra_hosts))
    _check_memory(limits)
    _check_cpu(limits)
    if limits.cpuset_cpus or limits.cpuset_mems:
        hierarchies = hierarchies or find_hierarchies()
        _check_set(limits.cpuset_cpus, hierarchies.available("cpus"), "cpus", "CPUs")
        _check_set(limits.cpuset_mems, hierarchies.available("mems"), "mems", "memory nodes")
    if shm_size < 0:
        raise InvalidInput("SHM size can not be less than 0")
    clean_parent(limits.cgroup_parent)
    return hosts


def possible_limits(limits: Limits, hierarchies: Hierarchies) -> Limits:
    """Return `limits` as they are set on a machine with these `hierarchies`.

    Memory and swap together are twice the memory if they are not said, as the engine has it. Raises `SystemFailure` for
    a limit that cannot be set here.
    """
    controllers = hierarchies.controllers()
    for name, controller in _CONTROLLERS.items():
        if getattr(limits, name) and controller not in controllers:
            raise SystemFailure(f"this machine cannot limit {name}: it has no {controller} control groups")
    swap = limits.memory_swap or max(0, limits.memory) * 2
    if not (limits.memory and hierarchies.counts_swap()):
        swap = 0
    # A precaution that this machine cannot take should not keep it from building.
    pids = limits.pids if "pids" in controllers else 0
    return replace(limits, memory_swap=max(-1, swap), pids=pids)


def clean_parent(parent: str) -> str:
    """Return the control group `parent` as an absolute path, "" for the root; raise `InvalidInput` for what is none."""
    if _CONTROL.search(parent) or ".." in parent.split("/") or len(parent) > _PARENT_LENGTH:
        raise InvalidInput(f"invalid cgroup parent {parent[:100]!r}: it is no path, or leads out of where it begins")
    return posixpath.normpath(f"/{parent.lstrip('/')}").rstrip("/")


def _host(text: str) -> tuple[str, str]:
    name, _, address = text.partition(":")
    # A line break would end the line of /etc/hosts, and let it say anything.
    if not name or ":" not in text or _CONTROL.search(text):
        raise InvalidInput(f'bad format for add-host: "{_CONTROL.sub("?", text[:200])}"')
    if address == "host-gateway":
        raise InvalidInput("the address host-gateway of add-host is not supported: nothing on the host listens for RUN")
    try:
        # Zones are no part of addresses for the engine.
        ip_address(address if "%" not in address else "")
    except ValueError:
        raise InvalidInput(f'invalid IP address in add-host: "{address[:200]}"') from None
    return name, address


def _check_memory(limits: Limits) -> None:
    if limits.memory and limits.memory < _LEAST_MEMORY:
        raise InvalidInput("Minimum memory limit allowed is 6MB")
    if 0 < limits.memory_swap < limits.memory:
        raise InvalidInput("Minimum memoryswap limit should be larger than memory limit, see usage")
    if limits.memory_swap > 0 and not limits.memory:
        raise InvalidInput("You should always set the Memory limit when using Memoryswap limit, see usage")


def _check_cpu(limits: Limits) -> None:
    if limits.cpu_period and limits.cpu_period not in _CPU_PERIODS:
        raise InvalidInput("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < limits.cpu_quota < _LEAST_CPU_QUOTA:
        raise InvalidInput("CPU cfs quota can not be less than 1ms (i.e. 1000)")


def _check_set(wanted: str, available: str, name: str, plural: str) -> None:
    try:
        numbers = _numbers(wanted)
    except ValueError as error:
        raise InvalidInput(f"Invalid value {wanted[:100]} for cpuset {name}: {error}") from None
    if numbers & ~_numbers(available):
        raise InvalidInput(f"Requested {plural} are not available - requested {wanted}, available: {available}")


def _numbers(text: str) -> int:
    """Return the numbers in a list such as `0-3,5` as bits that are set; raise `ValueError` with the engine's text."""
    numbers = 0
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        ends = (first, last) if dash else (first, first)
        if not all(map(_NUMBER.fullmatch, ends)) or int(ends[0]) > int(ends[1]):
            raise ValueError(f"invalid format: {text[:100]}")
        if int(ends[1]) > _LAST_CPU:
            raise ValueError(f"value of out range, maximum is {_LAST_CPU}")
        numbers |= (2 << int(ends[1])) - (1 << int(ends[0]))
    return numbers
