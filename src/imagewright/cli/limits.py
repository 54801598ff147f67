"""Options of `imagewright build` for what a RUN may use and finds around it, in the docker program's spelling."""

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from imagewright.cli.units import parse_size
from imagewright.engine import Limits, Surroundings, Ulimit
from imagewright.errors import InvalidInput

__all__ = ["limit_options", "parse_host", "parse_ulimit"]

_Function = TypeVar("_Function", bound=Callable[..., Any])
_ULIMIT = re.compile(r"([a-z]+)=(-1|[0-9]{1,18})(?::(-1|[0-9]{1,18}))?")
_OPTIONS = (
    click.option("-m", "--memory", metavar="BYTES", help="Memory that a RUN may use: 64m, 1.5g."),
    click.option("--memory-swap", metavar="BYTES", help="Memory and swap together; -1 for no limit."),
    click.option("-c", "--cpu-shares", type=int, default=0, help="CPU shares, relative to 1024."),
    click.option("--cpu-period", type=int, default=0, help="CPU period in microseconds."),
    click.option("--cpu-quota", type=int, default=0, help="CPU time that a RUN may use in a period, in microseconds."),
    click.option("--cpuset-cpus", default="", metavar="LIST", help="CPUs that a RUN may use: 0-3, 0,1."),
    click.option("--cpuset-mems", default="", metavar="LIST", help="Memory nodes that a RUN may use: 0-3, 0,1."),
    click.option("--cgroup-parent", default="", metavar="PATH", help="Control group that those of RUNs are made in."),
    click.option("--shm-size", metavar="BYTES", help="Size of /dev/shm. [default: 64m]"),
    click.option("--ulimit", "ulimits", multiple=True, metavar="NAME=SOFT[:HARD]", help="Resource limit of a RUN."),
    click.option("--add-host", "hosts", multiple=True, metavar="NAME:IP", help="A line of /etc/hosts in a RUN."),
)


def limit_options(function: _Function) -> _Function:
    """Add the options to a command; it is called with what they say as `surroundings`."""

    @functools.wraps(function)
    def command(
        *,
        memory: str | None,
        memory_swap: str | None,
        shm_size: str | None,
        ulimits: Sequence[str],
        hosts: Sequence[str],
        cpu_shares: int,
        cpu_period: int,
        cpu_quota: int,
        cpuset_cpus: str,
        cpuset_mems: str,
        cgroup_parent: str,
        **others: Any,
    ) -> Any:
        limits = Limits(
            memory=_size(memory),
            memory_swap=-1 if memory_swap == "-1" else _size(memory_swap),
            cpu_shares=cpu_shares,
            cpu_period=cpu_period,
            cpu_quota=cpu_quota,
            cpuset_cpus=cpuset_cpus,
            cpuset_mems=cpuset_mems,
            cgroup_parent=cgroup_parent,
            ulimits=tuple(map(parse_ulimit, ulimits)),
        )
        extra_hosts = tuple(map(parse_host, hosts))
        size = _size(shm_size)
        surroundings = Surroundings(limits=limits, extra_hosts=extra_hosts, **({"shm_size": size} if size else {}))
        return function(surroundings=surroundings, **others)

    for option in reversed(_OPTIONS):
        option(command)
    # The signature is not that of `function`, but click asks for none.
    return command  # type: ignore[return-value]


def parse_ulimit(text: str) -> Ulimit:
    """Return the limit in `NAME=SOFT[:HARD]`; raise `InvalidInput` for anything else."""
    match = _ULIMIT.fullmatch(text)
    if match is None:
        raise InvalidInput(f"invalid ulimit argument: {text!r}: it is NAME=SOFT[:HARD], such as nofile=1024:2048")
    soft, hard = int(match[2]), int(match[3] or match[2])
    if hard >= 0 and not 0 <= soft <= hard:
        raise InvalidInput(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")
    return Ulimit(match[1], soft, hard)


def parse_host(text: str) -> str:
    """Return `NAME:IP` or `NAME=IP`, the latter in brackets or not, as the engine takes it."""
    name, _, address = text.partition("=" if "=" in text.partition(":")[0] else ":")
    if not (name and address):
        raise InvalidInput(f"bad format for add-host: {text!r}: it is NAME:IP")
    return f"{name}:{address[1:-1] if address.startswith('[') and address.endswith(']') else address}"


def _size(text: str | None) -> int:
    return parse_size(text) if text else 0
