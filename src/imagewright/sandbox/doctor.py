"""What this machine can and cannot do."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from typing import Literal

from imagewright.errors import SystemFailure
from imagewright.sandbox.cgroups import find_hierarchies
from imagewright.sandbox.container import leave_host_mounts
from imagewright.sandbox.kernel import CLONE_NEWNET, in_new_thread, unshare
from imagewright.sandbox.overlay import mount_overlay, unmount_overlay
from imagewright.sandbox.runtime import architecture, find_runtime
from imagewright.sandbox.seccomp import seccomp_profile

__all__ = ["Finding", "probe"]

_TIMEOUT = 10
# What the limits of a RUN and the killing of its processes rest upon.
_WANTED_CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "pids"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: `name` ("runtime"), how it stands, what was found and, if it is not well, what to do.

    `limited`: builds work, some things do not. `bad`: RUN does not work.
    """

    name: str
    status: Literal["good", "limited", "bad"]
    detail: str
    advice: str = ""


def probe(*, runtime: str | None = None, directory: str | None = None) -> list[Finding]:
    """Look at runtime, overlayfs, cgroups, network and git, changing nothing that stays; raises nothing.

    `directory` is where layers are to be kept: overlayfs is tried there, and nowhere near it if None.
    """
    checks = (
        _look_at_user,
        lambda: _look_at_runtime(runtime),
        lambda: _look_at_overlayfs(directory),
        _look_at_cgroups,
        _look_at_seccomp,
        _look_at_namespaces,
        _look_at_slirp4netns,
        _look_at_git,
    )
    return [check() for check in checks]


def _look_at_user() -> Finding:
    if os.geteuid() == 0:
        return Finding("user", "good", "root")
    return Finding("user", "bad", f"user id {os.geteuid()}", "RUN needs root: run imagewright as root")


def _look_at_runtime(wanted: str | None) -> Finding:
    try:
        path = find_runtime(wanted)
    except SystemFailure as error:
        return Finding("runtime", "bad", str(error), "install runc")
    version = _version(path)
    if not version:
        return Finding("runtime", "bad", f"{path} does not say its version", "install runc")
    return Finding("runtime", "good", version)


def _look_at_overlayfs(directory: str | None) -> Finding:
    def attempt(place: str) -> None:
        for name in ("lower", "upper", "work", "target"):
            os.mkdir(f"{place}/{name}")
        leave_host_mounts()
        mount_overlay(f"{place}/links", f"{place}/target", [f"{place}/lower"], f"{place}/upper", f"{place}/work")
        unmount_overlay(f"{place}/target")

    try:
        with tempfile.TemporaryDirectory(prefix="imagewright-doctor-", dir=directory) as place:
            in_new_thread(lambda: attempt(place), "imagewright-doctor")
    except (OSError, SystemFailure) as error:
        reason = error.strerror or "" if isinstance(error, OSError) else str(error)
        return Finding(
            "overlayfs",
            "bad",
            reason,
            "keep the data root on a filesystem such as ext4 or xfs, not on overlayfs itself",
        )
    return Finding("overlayfs", "good", "mounts")


def _look_at_cgroups() -> Finding:
    try:
        hierarchies = find_hierarchies()
    except OSError as error:
        return Finding("cgroups", "bad", f"{error.strerror}", "mount /proc")
    if not hierarchies.version:
        return Finding("cgroups", "bad", "none is mounted", "mount /sys/fs/cgroup")
    missing = ", ".join(sorted(_WANTED_CONTROLLERS - hierarchies.controllers()))
    if missing:
        return Finding(
            "cgroups", "limited", f"version {hierarchies.version}, without {missing}", "limits that need them fail"
        )
    return Finding("cgroups", "good", f"version {hierarchies.version}")


def _look_at_seccomp() -> Finding:
    if not os.path.exists("/proc/sys/kernel/seccomp/actions_avail"):
        return Finding(
            "seccomp", "bad", "the kernel has no system-call filters", "use a kernel with CONFIG_SECCOMP_FILTER"
        )
    machine = os.uname().machine
    if seccomp_profile(architecture()) is None:
        return Finding("seccomp", "limited", f"no profile for {machine}", "RUN works without a system-call filter")
    return Finding("seccomp", "good", "filters system calls")


def _look_at_namespaces() -> Finding:
    try:
        in_new_thread(lambda: unshare(CLONE_NEWNET), "imagewright-doctor")
    except OSError as error:
        return Finding("network namespaces", "bad", f"{error.strerror}", "only --network=host works")
    return Finding("network namespaces", "good", "can be made")


def _look_at_slirp4netns() -> Finding:
    advice = "without it RUN has no network but with --network=host"
    version = _version("slirp4netns")
    if not version:
        return Finding("slirp4netns", "limited", "is not installed", f"install slirp4netns: {advice}")
    if not os.path.exists("/dev/net/tun"):
        return Finding("slirp4netns", "limited", f"{version}, but there is no /dev/net/tun", f"modprobe tun: {advice}")
    return Finding("slirp4netns", "good", version)


def _look_at_git() -> Finding:
    version = _version("git")
    if not version:
        return Finding("git", "limited", "is not installed", "install git to build from git repositories")
    return Finding("git", "good", version)


def _version(program: str) -> str:
    """Return the first line of what `program --version` prints, "" if it cannot be run."""
    path = shutil.which(program)
    if path is None:
        return ""
    try:
        result = subprocess.run(
            [path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    lines = result.stdout.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else ""
