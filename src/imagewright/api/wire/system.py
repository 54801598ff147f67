"""What the daemon tells of itself, its machine, and what takes up space there."""

from collections.abc import Container, Sequence

from imagewright.api.versions import MAXIMUM, MINIMUM, ApiVersion
from imagewright.api.wire.document import Document
from imagewright.engine import CacheDirectory, EngineInfo
from imagewright.oci import format_time

__all__ = ["disk_usage", "pruned_caches", "system_information", "version_information", "volumes"]


def volumes() -> Document:
    """Return the list of volumes, of which there are none."""
    return {"Volumes": [], "Warnings": None}


# How machines call architectures that Go, and so the API elsewhere, calls otherwise.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


# This machine is trusted with its own certificates, as newer engines say of both of its networks.
_LOOPBACK = ("::1/128", "127.0.0.0/8")

# Clients warn where one is missing.
_KERNEL_ABILITIES = (
    *("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit", "OomKillDisable"),
    *("IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables"),
)


def system_information(
    info: EngineInfo, *, now_ns: int, host: str, release: str, experimental: bool = False
) -> Document:
    """Return what `docker info` shows; `host` is the machine's name, `release` the version of the daemon."""
    return {
        "ID": info.id,
        "Containers": info.containers,
        "ContainersRunning": 0,
        "ContainersPaused": 0,
        "ContainersStopped": info.containers,
        "Images": info.images,
        "Driver": info.driver,
        "DriverStatus": [],
        "Plugins": {"Volume": [], "Network": ["bridge", "host", "null"], "Authorization": None, "Log": []},
        **dict.fromkeys(_KERNEL_ABILITIES, True),
        "Debug": False,
        "SystemTime": format_time(now_ns),
        "LoggingDriver": "none",
        "CgroupDriver": "cgroupfs",
        "NEventsListener": 0,
        "KernelVersion": info.kernel,
        "OperatingSystem": info.operating_system,
        "OSVersion": "",
        "OSType": "linux",
        "Architecture": _MACHINES.get(info.architecture, info.architecture),
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registries(info),
        "NCPU": info.cpus,
        "MemTotal": info.memory,
        "GenericResources": None,
        "DockerRootDir": info.data_root,
        "HttpProxy": info.http_proxy,
        "HttpsProxy": info.https_proxy,
        "NoProxy": info.no_proxy,
        "Name": host,
        "Labels": [],
        "ExperimentalBuild": experimental,
        "ServerVersion": release,
        "Runtimes": {info.runtime: {"path": info.runtime}},
        "DefaultRuntime": info.runtime,
        "Swarm": {"NodeID": "", "NodeAddr": "", "LocalNodeState": "inactive", "ControlAvailable": False, "Error": ""},
        "LiveRestoreEnabled": False,
        "Isolation": "",
        "InitBinary": "",
        "SecurityOptions": ["name=seccomp,profile=default"],
        "Warnings": None,
    }


def version_information(info: EngineInfo, *, release: str, python: str, experimental: bool = False) -> Document:
    """Return what `docker version` shows of the daemon; `python` is the version of the interpreter."""
    facts = {
        "ApiVersion": str(MAXIMUM),
        "MinAPIVersion": str(MINIMUM),
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": info.architecture,
        "KernelVersion": info.kernel,
        "BuildTime": "",
    }
    details = {**facts, "Experimental": str(experimental).lower(), "PythonVersion": python}
    return {
        "Platform": {"Name": "imagewright"},
        "Components": [{"Name": "Engine", "Version": release, "Details": details}],
        "Version": release,
        **facts,
        # Left out where it is false, as Go does it.
        **({"Experimental": True} if experimental else {}),
    }


def disk_usage(
    *,
    layers_size: int,
    images: Sequence[Document],
    containers: Sequence[Document],
    caches: Sequence[CacheDirectory],
    types: Container[str] | None,
    version: ApiVersion,
) -> Document:
    """Return what takes up space; `types` are those asked for, None for all.

    There are no volumes, and what is cached of builds, directories of mounts aside, are layers of images.
    """
    usage: Document = {}
    if types is None or "image" in types:
        usage |= {"LayersSize": layers_size, "Images": images}
    if types is None or "container" in types:
        usage["Containers"] = containers
    if types is None or "volume" in types:
        usage["Volumes"] = []
    if types is None or "build-cache" in types:
        entries = [_cache_entry(cache, version) for cache in caches]
        # Go wrote its empty list so until it was told not to.
        usage["BuildCache"] = entries or ([] if version.at_least(1, 42) else None)
    if not version.at_least(1, 42):
        usage["BuilderSize"] = sum(cache.size for cache in caches)
    return usage


def pruned_caches(removed: Sequence[CacheDirectory]) -> Document:
    """Return what is told of caches that were removed."""
    return {
        "CachesDeleted": [cache.id for cache in removed] or None,
        "SpaceReclaimed": sum(cache.size for cache in removed),
    }


def _cache_entry(cache: CacheDirectory, version: ApiVersion) -> Document:
    return {
        "ID": cache.id,
        **({} if version.at_least(1, 42) else {"Parent": ""}),
        "Type": "exec.cachemount",
        "Description": cache.name,
        "InUse": cache.in_use,
        "Shared": False,
        "Size": cache.size,
        "CreatedAt": format_time(cache.created_ns),
        "LastUsedAt": format_time(cache.used_ns),
        "UsageCount": cache.uses,
    }


def _registries(info: EngineInfo) -> Document:
    """Return what is done with registries: Docker Hub's mirrors, and those whose certificates are not verified."""
    networks = [entry for entry in info.insecure if "/" in entry]
    hosts = sorted(entry for entry in info.insecure if "/" not in entry)
    mirrors = list(info.mirrors)
    hub: Document = {"Name": "docker.io", "Mirrors": mirrors, "Secure": True, "Official": True}
    listed = {name: {"Name": name, "Mirrors": [], "Secure": False, "Official": False} for name in hosts}
    return {
        "AllowNondistributableArtifactsCIDRs": [],
        "AllowNondistributableArtifactsHostnames": [],
        "InsecureRegistryCIDRs": [*networks, *_LOOPBACK],
        "IndexConfigs": {**listed, "docker.io": hub},
        "Mirrors": mirrors,
    }
