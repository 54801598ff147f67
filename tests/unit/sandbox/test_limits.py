from pathlib import Path
from typing import Any

import pytest

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.sandbox.cgroups import Hierarchies
from imagewright.sandbox.limits import check_limits, clean_parent, possible_limits
from imagewright.sandbox.request import Limits

MIB = 1 << 20
SIX = Limits(memory=6 * MIB)
ALL = frozenset({"memory", "cpu", "cpuset", "pids"})


@pytest.fixture
def hierarchies(tmp_path: Path) -> Hierarchies:
    (tmp_path / "cpuset.cpus").write_text("0-2,4\n")
    (tmp_path / "cpuset.mems").write_text("0\n")
    return Hierarchies(((str(tmp_path), ALL),), "")


def check(hierarchies: Hierarchies, *, shm_size: int = 1, extra_hosts: tuple[str, ...] = (), **limits: Any) -> object:
    return check_limits(Limits(**limits), shm_size=shm_size, extra_hosts=extra_hosts, hierarchies=hierarchies)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"memory": 6 * MIB},
        {"memory": 6 * MIB, "memory_swap": -1},
        {"memory": 6 * MIB, "memory_swap": 6 * MIB},
        {"memory_swap": -2},
        {"cpu_period": 1000, "cpu_quota": 1000},
        {"cpu_period": 1_000_000, "cpu_quota": -5},
        {"cpuset_cpus": "0-1,4", "cpuset_mems": "0"},
        {"cgroup_parent": "a/b"},
        {"shm_size": 0},
    ],
)
def test_what_can_be(hierarchies: Hierarchies, limits: dict[str, Any]) -> None:
    assert check(hierarchies, **limits) == ()


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": -1}, "Minimum memory limit allowed is 6MB"),
        (
            {"memory": 6 * MIB, "memory_swap": 1},
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            {"memory_swap": 1},
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            {"cpu_period": 999},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (
            {"cpu_period": 1_000_001},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"cpu_period": -1}, "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)"),
        ({"cpu_quota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus: invalid format: x"),
        ({"cpuset_cpus": "0-"}, "Invalid value 0- for cpuset cpus: invalid format: 0-"),
        ({"cpuset_cpus": "1-0"}, "Invalid value 1-0 for cpuset cpus: invalid format: 1-0"),
        ({"cpuset_cpus": "-1"}, "Invalid value -1 for cpuset cpus: invalid format: -1"),
        ({"cpuset_cpus": "0,,1"}, "Invalid value 0,,1 for cpuset cpus: invalid format: 0,,1"),
        ({"cpuset_cpus": ","}, "Invalid value , for cpuset cpus: invalid format: ,"),
        (
            {"cpuset_cpus": "99999999999"},
            "Invalid value 99999999999 for cpuset cpus: value of out range, maximum is 8192",
        ),
        ({"cpuset_cpus": "3"}, "Requested CPUs are not available - requested 3, available: 0-2,4"),
        ({"cpuset_mems": "9"}, "Requested memory nodes are not available - requested 9, available: 0"),
        ({"cpuset_mems": "x"}, "Invalid value x for cpuset mems: invalid format: x"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"cgroup_parent": "../x"}, "invalid cgroup parent '../x': it is no path, or leads out of where it begins"),
        # The engine's order.
        ({"memory": 1, "cpu_quota": 1, "extra_hosts": ("x",)}, 'bad format for add-host: "x"'),
        ({"memory": 1, "cpu_quota": 1, "shm_size": -1}, "Minimum memory limit allowed is 6MB"),
    ],
)
def test_what_cannot_be(hierarchies: Hierarchies, limits: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(hierarchies, **limits)
    assert str(raised.value) == message


def test_hosts(hierarchies: Hierarchies) -> None:
    hosts = ("a:1.2.3.4", "b:::1", "c d:fe80::1")
    assert check(hierarchies, extra_hosts=hosts) == (("a", "1.2.3.4"), ("b", "::1"), ("c d", "fe80::1"))


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("nocolon", 'bad format for add-host: "nocolon"'),
        ("", 'bad format for add-host: ""'),
        (":1.2.3.4", 'bad format for add-host: ":1.2.3.4"'),
        ("a:", 'invalid IP address in add-host: ""'),
        ("a:b", 'invalid IP address in add-host: "b"'),
        ("a:[::1]", 'invalid IP address in add-host: "[::1]"'),
        ("a:fe80::1%eth0", 'invalid IP address in add-host: "fe80::1%eth0"'),
        ("a:01.2.3.4", 'invalid IP address in add-host: "01.2.3.4"'),
        ("a\n6.6.6.6 registry:1.2.3.4", 'bad format for add-host: "a?6.6.6.6 registry:1.2.3.4"'),
    ],
)
def test_hosts_that_cannot_be(hierarchies: Hierarchies, host: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        check(hierarchies, extra_hosts=(host,))
    assert str(raised.value) == message


def test_long_lists_are_read_at_once(hierarchies: Hierarchies) -> None:
    with pytest.raises(InvalidInput, match="Requested CPUs are not available"):
        check(hierarchies, cpuset_cpus=",".join(["0-8192"] * 9000))


def test_swap_is_as_much_as_memory_if_it_is_not_said(hierarchies: Hierarchies, tmp_path: Path) -> None:
    assert possible_limits(SIX, hierarchies).memory_swap == 0
    (tmp_path / "memory.memsw.limit_in_bytes").touch()
    assert possible_limits(SIX, hierarchies).memory_swap == 12 * MIB
    assert possible_limits(Limits(memory=6 * MIB, memory_swap=-5), hierarchies).memory_swap == -1
    assert possible_limits(Limits(memory_swap=-1), hierarchies).memory_swap == 0
    assert possible_limits(Limits(), hierarchies) == Limits()


def test_what_the_machine_cannot_limit() -> None:
    nothing = Hierarchies((), "/nowhere")
    assert possible_limits(Limits(), nothing) == Limits(pids=0)
    with pytest.raises(SystemFailure, match="this machine cannot limit memory: it has no memory control groups"):
        possible_limits(SIX, nothing)
    with pytest.raises(SystemFailure, match="cannot limit cpuset_cpus: it has no cpuset control groups"):
        possible_limits(Limits(cpuset_cpus="0"), nothing)


@pytest.mark.parametrize(
    ("parent", "path"), [("", ""), ("/", ""), ("a", "/a"), ("/a//b/./c/", "/a/b/c"), ("x.slice", "/x.slice")]
)
def test_parents(parent: str, path: str) -> None:
    assert clean_parent(parent) == path


@pytest.mark.parametrize("parent", ["..", "a/../b", "/../x", "a\0b", "a\nb", "a" * 2000])
def test_parents_that_cannot_be(parent: str) -> None:
    with pytest.raises(InvalidInput, match="invalid cgroup parent"):
        clean_parent(parent)
