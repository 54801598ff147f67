from typing import Any

import pytest

from imagewright.sandbox.seccomp import seccomp_profile

BEYOND = """
    mount umount2 pivot_root unshare setns bpf perf_event_open init_module finit_module kexec_load reboot swapon acct
    open_by_handle_at keyctl add_key request_key userfaultfd io_uring_setup settimeofday clock_settime syslog quotactl
    fsopen move_mount open_tree mount_setattr fanotify_init ioperm nfsservctl iopl process_madvise kcmp
"""


def allowed(architecture: str, name: str, *arguments: int) -> bool:
    """Judge a call as the filter that the profile describes would."""
    profile = seccomp_profile(architecture)
    assert profile is not None
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    return any(
        name in rule["names"]
        and rule["action"] == "SCMP_ACT_ALLOW"
        and all(holds(condition, arguments[condition["index"]]) for condition in rule.get("args", ()))
        for rule in profile["syscalls"]
    )


def holds(condition: dict[str, Any], argument: int) -> bool:
    value = condition["value"]
    match condition["op"]:
        case "SCMP_CMP_EQ":
            return bool(argument == value)
        case "SCMP_CMP_LT":
            return bool(argument < value)
        case "SCMP_CMP_GT":
            return bool(argument > value)
        case "SCMP_CMP_MASKED_EQ":
            return bool(argument & value == condition["valueTwo"])
        case operator:
            raise AssertionError(operator)


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_what_builds_need(architecture: str) -> None:
    for (
        name
    ) in "openat execve fork mknodat chroot setxattr ptrace io_setup statx fchmodat2 landlock_create_ruleset".split():  # noqa: SIM905
        assert allowed(architecture, name), name


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_what_reaches_beyond_the_container(architecture: str) -> None:
    for name in BEYOND.split():
        assert not allowed(architecture, name), name


def test_every_address_family_but_two() -> None:
    refused = {family for family in range(300) if not allowed("amd64", "socket", family)}
    assert refused == {17, 40}
    assert allowed("amd64", "socket", 0xFFFF_FFFF)


def test_clone_makes_no_namespaces() -> None:
    assert allowed("amd64", "clone", 0x0120_0011)
    for bit in (0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000):
        assert not allowed("amd64", "clone", 0x11 | bit)


def test_libraries_are_told_that_clone3_is_not_there() -> None:
    profile = seccomp_profile("amd64")
    assert profile is not None
    assert {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38} in profile["syscalls"]


def test_personalities() -> None:
    assert allowed("amd64", "personality", 0)
    assert allowed("amd64", "personality", 0xFFFF_FFFF)
    assert not allowed("amd64", "personality", 0x0040000)


def test_no_name_is_there_twice() -> None:
    for architecture in ("amd64", "arm64"):
        profile = seccomp_profile(architecture)
        assert profile is not None
        names = profile["syscalls"][0]["names"]
        assert len(names) == len(set(names))


def test_architectures_that_nobody_wrote_a_profile_for() -> None:
    assert seccomp_profile("riscv64") is None
