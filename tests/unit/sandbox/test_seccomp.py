from typing import Any

import pytest

from imagewright.sandbox.seccomp import inner_profile, outer_rules, seccomp_profile

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
    return matches(profile["syscalls"], "SCMP_ACT_ALLOW", name, arguments)


def allowed_by_both(architecture: str, name: str, *arguments: int) -> bool:
    """Judge a call as the inherited filter and that of the container together would."""
    profile = inner_profile(architecture)
    assert profile["defaultAction"] == "SCMP_ACT_ALLOW"
    return matches(outer_rules(architecture), "SCMP_ACT_ALLOW", name, arguments) and not matches(
        profile["syscalls"], "SCMP_ACT_ERRNO", name, arguments
    )


def matches(rules: list[dict[str, Any]], action: str, name: str, arguments: tuple[int, ...]) -> bool:
    return any(
        name in rule["names"]
        and rule["action"] == action
        and all(holds(condition, arguments[condition["index"]]) for condition in rule.get("args", ()))
        for rule in rules
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


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_two_filters_allow_together_what_the_one_allows(architecture: str) -> None:
    profile = seccomp_profile(architecture)
    assert profile is not None
    names = {name for rule in profile["syscalls"] for name in rule["names"]} | set(BEYOND.split())
    arguments = [
        0,
        1,
        16,
        17,
        18,
        23,
        31,
        39,
        40,
        41,
        0x0120_0011,
        0x2_0008,
        0xFFFF_FFFF,
        *(1 << bit for bit in range(33)),
    ]
    for name in names:
        for argument in arguments:
            assert allowed_by_both(architecture, name, argument) == allowed(architecture, name, argument), name


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_runtime_may_make_a_container_under_the_outer_filter(architecture: str) -> None:
    for name in "mount umount2 pivot_root unshare setns bpf keyctl sethostname clone clone3 execveat".split():  # noqa: SIM905
        assert matches(outer_rules(architecture), "SCMP_ACT_ALLOW", name, (0x7E02_0011,)), name
