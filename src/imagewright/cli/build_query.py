"""What the query of `POST /build` says of a RUN's surroundings."""

import json

from imagewright.engine import Surroundings

__all__ = ["surroundings_query"]


def surroundings_query(surroundings: Surroundings) -> list[tuple[str, str]]:
    """Return the parameters of what differs from the defaults."""
    limits = surroundings.limits
    values: dict[str, object] = {
        "memory": limits.memory,
        "memswap": limits.memory_swap,
        "cpushares": limits.cpu_shares,
        "cpuperiod": limits.cpu_period,
        "cpuquota": limits.cpu_quota,
        "cpusetcpus": limits.cpuset_cpus,
        "cpusetmems": limits.cpuset_mems,
        "cgroupparent": limits.cgroup_parent,
        "shmsize": surroundings.shm_size if surroundings.shm_size != Surroundings().shm_size else 0,
    }
    parameters = [(name, str(value)) for name, value in values.items() if value]
    if limits.ulimits:
        ulimits = [{"Name": limit.name, "Soft": limit.soft, "Hard": limit.hard} for limit in limits.ulimits]
        parameters.append(("ulimits", json.dumps(ulimits)))
    return [*parameters, *(("extrahosts", host) for host in surroundings.extra_hosts)]
