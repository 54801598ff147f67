"""What an engine says of itself and of its machine."""

import os
import platform as machine
from dataclasses import dataclass

from imagewright.oci import Platform

__all__ = ["EngineInfo", "MachineInfo", "read_machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """The machine an engine runs on; `memory` in bytes, 0 if the kernel does not say."""

    platform: Platform
    kernel: str
    operating_system: str
    hostname: str
    cpus: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine, what it holds, and the machine it runs on. `id` stays with the data root."""

    id: str
    images: int
    containers: int
    data_root: str
    driver: str
    runtime: str
    machine: MachineInfo


def read_machine() -> MachineInfo:
    """Return what this machine says of itself now."""
    try:
        release = machine.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        release = "Linux"
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    uname = os.uname()
    return MachineInfo(
        platform=Platform.parse(f"linux/{uname.machine}", default=Platform("linux", uname.machine)),
        kernel=uname.release,
        operating_system=release,
        hostname=uname.nodename,
        cpus=os.cpu_count() or 1,
        memory=max(0, pages * size),
    )
