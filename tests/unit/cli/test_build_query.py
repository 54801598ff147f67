from urllib.parse import urlencode

from imagewright.api.build_surroundings import parse_surroundings
from imagewright.api.query import Query
from imagewright.cli.build_query import surroundings_query
from imagewright.engine import Limits, Surroundings, Ulimit

EVERYTHING = Surroundings(
    limits=Limits(
        memory=64 << 20,
        memory_swap=-1,
        cpu_shares=2,
        cpu_period=50_000,
        cpu_quota=-1,
        cpuset_cpus="0-1",
        cpuset_mems="0",
        cgroup_parent="/a",
        ulimits=(Ulimit("nofile", 100, 200), Ulimit("core", 0, -1)),
    ),
    shm_size=4096,
    extra_hosts=("a:1.2.3.4", "b:::1"),
)


def test_nothing_is_not_sent() -> None:
    assert surroundings_query(Surroundings()) == []


def test_the_daemon_reads_what_is_sent() -> None:
    assert parse_surroundings(Query.parse(urlencode(surroundings_query(EVERYTHING)))) == EVERYTHING
