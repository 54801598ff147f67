"""What an engine says of itself and of its machine."""

import os
import platform
import uuid
from dataclasses import dataclass

from imagewright.oci import Platform
from imagewright.registry import Settings, proxy_variables

__all__ = ["EngineInfo", "Machine", "describe_engine", "read_identity", "read_machine"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine an engine runs on; `memory` in bytes."""

    platform: Platform
    kernel: str
    operating_system: str
    cpus: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """An engine, what it holds, and the machine it runs on; `memory` in bytes. `id` stays with the data root.

    `mirrors`, `insecure` and the proxies are what it does with registries; the proxies' passwords are masked.
    """

    id: str
    containers: int
    images: int
    data_root: str
    driver: str
    runtime: str
    architecture: str
    kernel: str
    operating_system: str
    cpus: int
    memory: int
    mirrors: tuple[str, ...] = ()
    insecure: tuple[str, ...] = ()
    http_proxy: str = ""
    https_proxy: str = ""
    no_proxy: str = ""


def read_machine() -> Machine:
    """Return what this machine says of itself now."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        system = "Linux"
    uname = os.uname()
    return Machine(
        platform=Platform.parse(f"linux/{uname.machine}", default=Platform("linux", uname.machine)),
        kernel=uname.release,
        operating_system=system,
        cpus=os.cpu_count() or 1,
        memory=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    )


def describe_engine(
    machine: Machine,
    registry: Settings,
    *,
    identity: str,
    data_root: str,
    runtime: str,
    images: int,
    containers: int,
) -> EngineInfo:
    """Return what is told of an engine on `machine` with these settings, and of how much it holds."""
    http_proxy, https_proxy, no_proxy = proxy_variables(registry.environment)
    return EngineInfo(
        id=identity,
        images=images,
        containers=containers,
        data_root=data_root,
        driver="overlay2",
        runtime=runtime,
        architecture=machine.platform.architecture,
        kernel=machine.kernel,
        operating_system=machine.operating_system,
        cpus=machine.cpus,
        memory=machine.memory,
        mirrors=registry.mirrors,
        insecure=registry.insecure,
        http_proxy=http_proxy,
        https_proxy=https_proxy,
        no_proxy=no_proxy,
    )


def read_identity(data_root: str) -> str:
    """Return the id of the engine at `data_root`, which is made at the first call and stays. Atomic."""
    path = os.path.join(data_root, "id")
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except FileNotFoundError:
        pass
    identity = str(uuid.uuid4())
    with open(f"{path}.partial", "w", encoding="ascii") as file:
        file.write(f"{identity}\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.partial", path)
    return identity
