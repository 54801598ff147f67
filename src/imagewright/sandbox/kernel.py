"""System calls that the `os` module of Python 3.11 lacks."""

import ctypes
import errno
import os
from collections.abc import Callable
from threading import Thread
from typing import Any, TypeVar

__all__ = [
    "CLONE_FS",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "MNT_DETACH",
    "MS_BIND",
    "MS_NODEV",
    "MS_NOSUID",
    "MS_RDONLY",
    "MS_REC",
    "MS_REMOUNT",
    "MS_SLAVE",
    "become_subreaper",
    "in_new_thread",
    "mount",
    "open_in_root",
    "restrict_thread",
    "unmount",
    "unshare",
]

CLONE_FS = 0x200
CLONE_NEWNS = 0x2_0000
CLONE_NEWNET = 0x4000_0000
MNT_DETACH = 2
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x8_0000
_PR_SET_SECCOMP = 22
_PR_SET_CHILD_SUBREAPER = 36
_SECCOMP_MODE_FILTER = 2

# openat2(2), which the C library has no function for; the number is the same on all architectures.
_SYS_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_IN_ROOT = 0x10
_MOST_TRIES = 1000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_libc.umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_libc.unshare.argtypes = [ctypes.c_int]
_libc.prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]

T = TypeVar("T")


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own, for good: use a thread that ends. Raises `OSError`."""
    _check(_libc.unshare(flags))


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Make a mount; `options` are at most a page. Raises `OSError`."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            flags,
            os.fsencode(options) or None,
        )
    )


def unmount(target: str, flags: int = 0) -> None:
    """Take a mount away; raises `OSError`."""
    _check(_libc.umount2(os.fsencode(target), flags))


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in_root(root: int, path: str, *, links: bool = True) -> int:
    """Return a descriptor (O_PATH) of what `path` leads to when the directory `root` is the whole world.

    The kernel follows the links, and none out of `root`, whoever changes them meanwhile; without `links` it fails at
    the first one, with ELOOP. Raises `OSError`.
    """
    resolution = _RESOLVE_IN_ROOT | (_RESOLVE_NO_MAGICLINKS if links else _RESOLVE_NO_SYMLINKS)
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC, 0, resolution)
    name = ctypes.c_char_p(os.fsencode(path) or b".")
    for _ in range(_MOST_TRIES):
        descriptor = _libc.syscall(_SYS_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how))
        # Whatever was renamed or mounted meanwhile, anywhere, makes the kernel unsure of a `..` on the way.
        if descriptor >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return _check(descriptor)


def in_new_thread(work: Callable[[], T], name: str) -> T:
    """Return what `work` returns or raise what it raises, run in a thread that ends with it."""
    box: list[Any] = []

    def body() -> None:
        try:
            box.append((work(), None))
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits
            box.append((None, error))

    thread = Thread(target=body, name=name)
    thread.start()
    thread.join()
    value, error = box[0]
    if error is not None:
        raise error
    result: T = value
    return result


def become_subreaper() -> None:
    """Let this process become the parent of descendants whose own parents end; prctl(2). Idempotent."""
    _check(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def restrict_thread(program: bytes) -> None:
    """Put the calling thread, and what it starts from now on, under the system-call filter `program`, for good.

    `program` is in the form of linux/filter.h. Raises `OSError`; needs SYS_ADMIN.
    """
    prepared = _Program(len(program) // 8, program)
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(prepared), 0, 0))
