"""The parameters of `POST /build` that say what a RUN may use and finds around it."""

from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.engine import Limits, Surroundings, Ulimit
from imagewright.errors import InvalidInput

__all__ = ["parse_surroundings", "parse_ulimits"]

_DEFAULT_SHM_SIZE = 64 << 20


def parse_surroundings(query: Query) -> Surroundings:
    """Return what the parameters ask for; raise `InvalidInput`, which names the parameter, for what is no value.

    Whether a RUN can have it is found out when there is one.
    """
    limits = Limits(
        memory=_integer(query, "memory"),
        memory_swap=_integer(query, "memswap"),
        cpu_shares=_integer(query, "cpushares"),
        cpu_period=_integer(query, "cpuperiod"),
        cpu_quota=_integer(query, "cpuquota"),
        cpuset_cpus=query.get("cpusetcpus"),
        cpuset_mems=query.get("cpusetmems"),
        cgroup_parent=query.get("cgroupparent"),
        ulimits=parse_ulimits(query),
    )
    return Surroundings(
        limits=limits,
        shm_size=_integer(query, "shmsize") or _DEFAULT_SHM_SIZE,
        extra_hosts=query.get_all("extrahosts"),
    )


def parse_ulimits(query: Query) -> tuple[Ulimit, ...]:
    """Return the resource limits in the JSON of `ulimits`; raise `InvalidInput` with the engine's text."""
    text = query.get("ulimits")
    if not text:
        return ()
    try:
        found = decode(text, "[]*units.Ulimit") or []
    except InvalidInput as error:
        raise InvalidInput(f"error reading ulimit settings: {error}") from error
    if None in found:
        # On which the engine breaks down.
        raise InvalidInput("error reading ulimit settings: a resource limit cannot be null")
    return tuple(Ulimit(limit["Name"], limit["Soft"], limit["Hard"]) for limit in found)


def _integer(query: Query, name: str) -> int:
    """Return the value of `name`, 0 for none.

    The engine takes what is no number for 0, and so for no limit at all, where somebody has asked for one.
    """
    if not query.get(name):
        return 0
    try:
        return query.integer(name)
    except InvalidInput as error:
        raise InvalidInput(f"{name}: {error}") from error
