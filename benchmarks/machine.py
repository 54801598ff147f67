"""The machine and the programs of a run, in one paragraph that says nothing about whose machine it is."""

import datetime as dt
import os
import platform
import re
import subprocess
from pathlib import Path

from peers import Peers

import imagewright

__all__ = ["described"]


def described(peers: Peers, file_system: str) -> str:
    """Return the paragraph."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9
    versions = {
        "dockerd": _version("dockerd", "--version"),
        "docker": _version(peers.buildkit.program, "--version"),
        "podman": _version("podman", "--version") if peers.podman else "",
        "runc": _version("runc", "--version"),
        "Python": platform.python_version(),
    }
    programs = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d}. {os.cpu_count()} processors ({_processor()}), {memory:.0f} GB of"
        f" memory, Linux {_kernel()}, file system: {file_system}. imagewright {imagewright.__version__}"
        f"{_commit()}; {programs}. Load average at the end: {os.getloadavg()[2]:.1f} in 15 minutes."
    )


def _kernel() -> str:
    """Return the version without what those who built the kernel added to it."""
    return ".".join(platform.release().split(".")[:2])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(*command: str) -> str:
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
    found = re.search(r"\d+(\.\d+)+\S*", said)
    return found[0].rstrip(",") if found else ""


def _commit() -> str:
    """Return the commit of the sources, where they are a clone."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return f" at {done.stdout.strip()}" if done.returncode == 0 else ""
