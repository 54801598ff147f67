"""The system-call filter that a runtime, and the container it makes, inherit from the thread that starts it.

runc compiles the profile of each container anew, a third of what it does for one. This filter is compiled once, from
the same rules and by the library that runc has for it, and is what `seccomp_profile` describes but for the calls with
which a runtime makes a container. Those are left to the profile that the runtime is given, which is small then: a call
gets through if both let it. A process cannot get rid of a filter that it inherited.

https://docs.kernel.org/userspace-api/seccomp_filter.html and seccomp_rule_add(3)
"""

import ctypes
import functools
import os
import struct
from typing import Any

from imagewright.sandbox.seccomp import outer_rules, profile_architectures

__all__ = ["compile_filter"]

_ALLOW = 0x7FFF_0000
_ERRNO = 0x0005_0000
_EPERM = 1
_ENOSYS = 38
# __NR_SCMP_ERROR of seccomp.h: no system call has this name on any architecture.
_NO_SUCH_CALL = -1
# enum scmp_filter_attr
_OPTIMIZE, _AS_TREE = 8, 2
_OPERATORS = {"SCMP_CMP_LT": 2, "SCMP_CMP_EQ": 4, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}

# The kernel's form of a program, and where it finds a call's number and its architecture; linux/filter.h, seccomp.h.
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD, _IF_EQUAL, _IF_GREATER, _RETURN = 0x20, 0x15, 0x25, 0x06
_NUMBER, _ARCHITECTURE = 0, 4
_MOST_BYTES = 1 << 20


class _Condition(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("value", ctypes.c_uint64),
        ("masked", ctypes.c_uint64),
    )


@functools.cache
def compile_filter(architecture: str) -> bytes | None:
    """Return the filter for processes of this machine as the kernel takes it; takes milliseconds, the first time.

    None if `architecture`, an OCI one, has no profile or is not this machine's, or there is no libseccomp to ask.
    """
    try:
        library = _library()
    except (OSError, AttributeError):
        return None
    tokens = [_token(library, name) for name in profile_architectures(architecture)]
    if library.seccomp_arch_native() not in tokens:
        return None
    rules = outer_rules(architecture)
    context = library.seccomp_init(_ERRNO | _EPERM)
    if not context:
        return None
    try:
        if not _fill(library, context, tokens, rules):
            return None
        program = _export(library, context)
    finally:
        library.seccomp_release(context)
    names = [name for rule in rules for name in rule["names"]]
    newest = {
        token: max(library.seccomp_syscall_resolve_name_arch(token, name.encode()) for name in names)
        for token in tokens
    }
    return _refusing_newer(newest) + program if program else None


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL("libseccomp.so.2")
    number, context, name = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_char_p
    library.seccomp_arch_resolve_name.argtypes, library.seccomp_arch_resolve_name.restype = [name], number
    library.seccomp_arch_native.argtypes, library.seccomp_arch_native.restype = [], number
    library.seccomp_syscall_resolve_name.argtypes = [name]
    library.seccomp_syscall_resolve_name_arch.argtypes = [number, name]
    library.seccomp_init.argtypes, library.seccomp_init.restype = [number], context
    library.seccomp_arch_add.argtypes = [context, number]
    library.seccomp_attr_set.argtypes = [context, ctypes.c_int, number]
    library.seccomp_rule_add_array.argtypes = [
        context,
        number,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.POINTER(_Condition),
    ]
    library.seccomp_export_bpf.argtypes = [context, ctypes.c_int]
    library.seccomp_release.argtypes, library.seccomp_release.restype = [context], None
    return library


def _token(library: ctypes.CDLL, name: str) -> int:
    """Return the library's number for an architecture of the runtime specification, which has AUDIT_ARCH_X the same."""
    token: int = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
    return token


def _fill(library: ctypes.CDLL, context: int, tokens: list[int], rules: list[dict[str, Any]]) -> bool:
    # A search tree: the kernel tries all calls when a filter is set, which takes it a quarter of the time so. Libraries
    # that are too old for it make a list.
    library.seccomp_attr_set(context, _OPTIMIZE, _AS_TREE)
    native = library.seccomp_arch_native()
    if any(library.seccomp_arch_add(context, token) for token in tokens if token != native):
        return False
    for rule in rules:
        conditions = [
            _Condition(one["index"], _OPERATORS[one["op"]], one["value"], one.get("valueTwo", 0))
            for one in rule.get("args", ())
        ]
        array = (_Condition * len(conditions))(*conditions)
        for name in rule["names"]:
            # A name that the library does not know is newer than it, and is refused like all that is newer.
            number = library.seccomp_syscall_resolve_name(name.encode())
            if number != _NO_SUCH_CALL and library.seccomp_rule_add_array(
                context, _ALLOW, number, len(conditions), array
            ):
                return False
    return True


def _export(library: ctypes.CDLL, context: int) -> bytes:
    descriptor = os.memfd_create("filter")
    try:
        failed = library.seccomp_export_bpf(context, descriptor)
        return b"" if failed else os.pread(descriptor, _MOST_BYTES, 0)
    finally:
        os.close(descriptor)


def _refusing_newer(newest: dict[int, int]) -> bytes:
    """Return a beginning that says ENOSYS for calls of a number above the newest known one of their architecture.

    As runc has it: libraries then fall back to older calls, which they would not for EPERM.
    """
    code = [(_LOAD, 0, 0, _ARCHITECTURE)]
    end = 1 + 3 * len(newest)
    for token, number in newest.items():
        # Jumps are counted from the next instruction: to the next architecture, to the answer, past it to the program.
        at = len(code)
        other = at + 3 if at + 3 < end else end + 1
        code += [
            (_IF_EQUAL, 0, other - at - 1, token),
            (_LOAD, 0, 0, _NUMBER),
            (_IF_GREATER, end - at - 3, end - at - 2, number),
        ]
    code.append((_RETURN, 0, 0, _ERRNO | _ENOSYS))
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in code)
