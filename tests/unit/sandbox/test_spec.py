import dataclasses
from typing import Any

import pytest

from imagewright.errors import InvalidInput
from imagewright.sandbox.request import Limits, Ulimit
from imagewright.sandbox.spec import CAPABILITIES, ContainerSpec, runtime_spec

RUN = ContainerSpec(
    argv=("/bin/sh", "-c", "true"),
    env=("A=1",),
    cwd="/w",
    uid=0,
    gid=0,
    groups=(),
    rootfs="/r",
    hostname="h",
    binds=(("/b/hosts", "/etc/hosts"),),
    network="none",
    network_namespace="",
    cgroup="/c",
    architecture="amd64",
)


def spec(**changes: Any) -> dict[str, Any]:
    return runtime_spec(dataclasses.replace(RUN, **changes))


def test_process() -> None:
    process = spec()["process"]
    assert process["terminal"] is False
    assert process["args"] == ["/bin/sh", "-c", "true"]
    assert process["env"] == ["A=1"]
    assert process["cwd"] == "/w"
    assert process["rlimits"] == []


def test_root_has_the_fourteen_capabilities_and_passes_none_on() -> None:
    capabilities = spec()["process"]["capabilities"]
    assert len(CAPABILITIES) == 14
    assert capabilities["bounding"] == capabilities["effective"] == capabilities["permitted"] == list(CAPABILITIES)
    assert capabilities["inheritable"] == capabilities["ambient"] == []


def test_other_users_have_them_only_as_a_bound() -> None:
    capabilities = spec(uid=1)["process"]["capabilities"]
    assert capabilities["bounding"] == list(CAPABILITIES)
    assert capabilities["effective"] == capabilities["permitted"] == []


def test_the_primary_group_is_among_the_groups() -> None:
    user = spec(uid=1, gid=2, groups=(3, 2, 4))["process"]["user"]
    assert user == {"uid": 1, "gid": 2, "additionalGids": [2, 3, 4]}


@pytest.mark.parametrize(
    ("network", "namespace"),
    [("none", [{"type": "network"}]), ("host", []), ("default", [{"type": "network", "path": "/ns"}])],
)
def test_networks(network: str, namespace: list[dict[str, str]]) -> None:
    linux = spec(network=network, network_namespace="/ns")["linux"]
    assert [entry for entry in linux["namespaces"] if entry["type"] == "network"] == namespace
    assert [entry["type"] for entry in linux["namespaces"]][:5] == ["mount", "pid", "ipc", "uts", "cgroup"]
    assert ("sysctl" in linux) == (network != "host")


def test_without_limits_only_devices_are_restricted() -> None:
    resources = spec(limits=Limits(pids=0))["linux"]["resources"]
    assert resources == {"devices": [{"allow": False, "access": "rwm"}]}


def test_limits() -> None:
    limits = Limits(
        memory=1 << 30,
        memory_swap=-1,
        cpu_shares=512,
        cpu_period=100_000,
        cpu_quota=50_000,
        cpuset_cpus="0-1",
        cpuset_mems="0",
        pids=10,
    )
    resources = spec(limits=limits)["linux"]["resources"]
    assert resources["memory"] == {"limit": 1 << 30, "swap": -1}
    assert resources["cpu"] == {"shares": 512, "period": 100_000, "quota": 50_000, "cpus": "0-1", "mems": "0"}
    assert resources["pids"] == {"limit": 10}


def test_ulimits() -> None:
    limits = Limits(ulimits=(Ulimit("nofile", 1, 2), Ulimit("core", -1, -1)))
    unlimited = 2**64 - 1
    assert spec(limits=limits)["process"]["rlimits"] == [
        {"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2},
        {"type": "RLIMIT_CORE", "soft": unlimited, "hard": unlimited},
    ]
    with pytest.raises(InvalidInput, match="wrong rlimit value: RLIMIT_ZZZ"):
        spec(limits=Limits(ulimits=(Ulimit("zzz", 1, 1),)))


def test_mounts() -> None:
    mounts = {mount["destination"]: mount for mount in spec(shm_size=1234)["mounts"]}
    assert "size=1234" in mounts["/dev/shm"]["options"]
    assert "ro" in mounts["/sys"]["options"]
    assert "ro" in mounts["/sys/fs/cgroup"]["options"]
    assert mounts["/etc/hosts"] == {
        "destination": "/etc/hosts",
        "type": "bind",
        "source": "/b/hosts",
        "options": ["bind", "rprivate"],
    }


def test_what_is_hidden() -> None:
    linux = spec()["linux"]
    assert {"/proc/kcore", "/proc/interrupts", "/sys/firmware", "/sys/devices/virtual/powercap"} <= set(
        linux["maskedPaths"]
    )
    assert "/proc/sys" in linux["readonlyPaths"]


def test_machines_without_a_profile_run_without_a_filter() -> None:
    assert "seccomp" in spec()["linux"]
    assert "seccomp" not in spec(architecture="mips")["linux"]


def test_a_runtime_that_is_filtered_gets_the_rest_of_the_filter() -> None:
    profile = spec(filtered=True)["linux"]["seccomp"]
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    assert len(profile["syscalls"]) < 12
