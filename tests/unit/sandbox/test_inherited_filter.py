"""The compiled filter, judged by running it as the kernel does."""

import errno
import struct

import pytest

from imagewright.sandbox.inherited_filter import compile_filter
from imagewright.sandbox.runtime import architecture, inherited_filter

ALLOW, ERRNO = 0x7FFF_0000, 0x0005_0000
X86_64, I386 = 0xC000_003E, 0x4000_0003


def verdict(program: bytes, arch: int, number: int, argument: int = 0) -> int:
    """Return what the filter answers to a call of `number` with one `argument`."""
    data = struct.pack("=IIQQ", number, arch, 0, argument).ljust(64, b"\0")
    code = list(struct.iter_unpack("=HBBI", program))
    value = at = 0
    while True:
        kind, yes, no, operand = code[at]
        at += 1
        match kind:
            case 0x20:
                value = int.from_bytes(data[operand : operand + 4], "little")
            case 0x06:
                return int(operand)
            case 0x05:
                at += operand
            case 0x15:
                at += yes if value == operand else no
            case 0x25:
                at += yes if value > operand else no
            case 0x35:
                at += yes if value >= operand else no
            case 0x54:
                value &= operand
            case _:
                raise AssertionError(hex(kind))


@pytest.fixture(name="program")
def make_program() -> bytes:
    program = compile_filter("amd64")
    if program is None:
        pytest.skip("needs libseccomp on x86-64")
    return program


def test_what_a_container_may_do_and_what_a_runtime_needs(program: bytes) -> None:
    # read, execve, clone into a new user namespace, mount, clone3, statx; the same for 32 bits.
    calls = {X86_64: (0, 59, 165, 435, 332), I386: (3, 11, 21, 435, 383)}
    for arch, numbers in calls.items():
        assert {verdict(program, arch, number) for number in numbers} == {ALLOW}
    assert verdict(program, X86_64, 56, 0x1000_0011) == ALLOW


def test_what_nobody_in_there_needs_is_refused(program: bytes) -> None:
    # init_module, kexec_load, reboot, perf_event_open, userfaultfd, io_uring_setup, open_by_handle_at
    for number in (175, 246, 169, 298, 323, 425, 304):
        assert verdict(program, X86_64, number) == ERRNO | errno.EPERM


def test_address_families(program: bytes) -> None:
    refused = {family for family in range(300) if verdict(program, X86_64, 41, family) != ALLOW}
    assert refused == {17, 40}
    assert {family for family in range(300) if verdict(program, I386, 359, family) != ALLOW} == {17, 40}


def test_personalities(program: bytes) -> None:
    assert verdict(program, X86_64, 135, 0xFFFF_FFFF) == ALLOW
    assert verdict(program, X86_64, 135, 0x0004_0000) == ERRNO | errno.EPERM


def test_libraries_fall_back_from_calls_that_are_too_new(program: bytes) -> None:
    x32 = 0x4000_0000
    for arch in (X86_64, I386):
        for number in (600, 1000, x32 + 39):
            assert verdict(program, arch, number) == ERRNO | errno.ENOSYS


def test_other_architectures_are_not_served(program: bytes) -> None:
    assert verdict(program, 0x4000_0028, 0) not in {ALLOW, ERRNO | errno.ENOSYS}


def test_there_is_none_for_a_runtime_or_a_machine_that_is_not_known() -> None:
    assert inherited_filter("/usr/bin/other") is None
    assert compile_filter("mips") is None
    assert compile_filter("amd64" if architecture() == "arm64" else "arm64") is None
