"""The OCI runtime as a program: its command line, its log, and what its complaints mean.

https://github.com/opencontainers/runc/blob/main/man/runc-run.8.md
"""

import os
import shutil
import subprocess

import msgspec

from imagewright.errors import SystemFailure
from imagewright.sandbox.failures import creation_failure
from imagewright.sandbox.inherited_filter import compile_filter

__all__ = [
    "MARKER",
    "architecture",
    "environment",
    "failure_text",
    "find_runtime",
    "inherited_filter",
    "keeps_cgroups",
    "run_arguments",
]

# Programs that a sandbox starts carry this variable, with its state root as value: recovery finds them by it.
MARKER = "IMAGEWRIGHT_SANDBOX"

_RUNTIMES = ("runc", "crun")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_HELP_SECONDS = 10.0
_PREFIXES = ("runc run failed: ", "runc create failed: ")


class _LogLine(msgspec.Struct):
    level: str = ""
    msg: str = ""


_decoder = msgspec.json.Decoder(_LogLine)


def architecture() -> str:
    """Return this machine's architecture as OCI names it."""
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def find_runtime(wanted: str | None) -> str:
    """Return the path of the runtime `wanted` (a name or a path), or of the first known one; raise `SystemFailure`."""
    for name in (wanted,) if wanted else _RUNTIMES:
        path = shutil.which(name)
        if path is not None:
            return path
    raise SystemFailure(f"no OCI runtime is installed: RUN needs {wanted or ' or '.join(_RUNTIMES)}")


def inherited_filter(runtime: str) -> bytes | None:
    """Return the system-call filter under which `runtime`, a path, can be started; None if there is none for it."""
    # What others call to make a container, a virtual machine perhaps, is not known.
    return compile_filter(architecture()) if os.path.basename(runtime) in _RUNTIMES else None


def environment(state_root: str) -> dict[str, str]:
    """Return the whole environment of a program started for `state_root`."""
    return {"PATH": os.environ.get("PATH", os.defpath), MARKER: state_root}


def keeps_cgroups(runtime: str) -> bool:
    """Whether `runtime`, a path, can leave the control group of a container that has ended; takes milliseconds."""
    try:
        result = subprocess.run([runtime, "run", "--help"], capture_output=True, timeout=_HELP_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return b"--keep" in result.stdout


def run_arguments(runtime: str, bundle: str, container_id: str, *, configuration: str, keep: bool = False) -> list[str]:
    """Return the command that runs the container of `bundle` and ends as it ends.

    `configuration` is the directory of its config.json, where the runtime also has its notes. With `keep` the
    container's control group stays, to be asked what happened, and somebody else has to remove it.
    """
    return [
        runtime,
        f"--root={configuration}/runtime",
        f"--log={bundle}/log",
        "--log-format=json",
        "run",
        *(["--keep"] if keep else []),
        f"--bundle={configuration}",
        f"--pid-file={bundle}/pid",
        container_id,
    ]


def failure_text(log: bytes, bundle: str) -> str:
    """Return what a client is told of a container that did not start, from the runtime's `log`, without host paths."""
    reason = "the runtime gave no reason"
    for line in log.splitlines():
        try:
            entry = _decoder.decode(line)
        except msgspec.DecodeError:
            continue
        if entry.level in {"error", "fatal"} and entry.msg:
            reason = entry.msg
    for prefix in _PREFIXES:
        reason = reason.removeprefix(prefix)
    for place in (f"{bundle}/private", bundle):
        reason = reason.replace(place, "")
    return creation_failure(reason)
