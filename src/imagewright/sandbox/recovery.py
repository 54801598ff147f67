"""Ending the programs that a killed engine left running."""

import contextlib
import os
import select
import signal
import time

from imagewright.sandbox.runtime import MARKER

__all__ = ["end_processes"]

_PATIENCE = 10.0


def end_processes(state_root: str) -> bool:
    """Kill the runtimes and helpers that were started for `state_root`, and wait; return whether all have ended.

    They are known by a variable in their environment. A container could set that too, which is why only processes of
    our own pid namespace are looked at; those of containers are killed by their control group.
    """
    marker = os.fsencode(f"{MARKER}={state_root}")
    descriptors: list[int] = []
    try:
        for name in os.listdir("/proc"):
            if name.isdecimal() and int(name) != os.getpid():
                descriptor = _open_if_marked(int(name), marker)
                if descriptor is not None:
                    descriptors.append(descriptor)
        for descriptor in descriptors:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        deadline = time.monotonic() + _PATIENCE
        return all(_ended(descriptor, deadline) for descriptor in descriptors)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def _open_if_marked(pid: int, marker: bytes) -> int | None:
    """Return a descriptor of the process if it is one of ours; None if it is not, or is gone."""
    try:
        # Opened first: what is read afterwards is of this process, or it has ended and the signal goes nowhere.
        descriptor = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        if _is_marked(pid, marker) and _pid_namespace(str(pid)) == _pid_namespace("self"):
            return descriptor
    except OSError:
        pass
    os.close(descriptor)
    return None


def _is_marked(pid: int, marker: bytes) -> bool:
    with open(f"/proc/{pid}/environ", "rb") as file:
        return marker in file.read(1 << 20).split(b"\0")


def _pid_namespace(name: str) -> str:
    return os.readlink(f"/proc/{name}/ns/pid")


def _ended(descriptor: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
