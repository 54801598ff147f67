"""Intermediate containers: entries of the list, and details."""

from collections.abc import Mapping, Sequence

from imagewright.api.versions import MINIMUM
from imagewright.api.wire.document import SECOND, Document, run_config
from imagewright.engine import Container, StoredImage
from imagewright.oci import Digest, RunConfig, format_time
from imagewright.sandbox.spec import MASKED_PATHS, READONLY_PATHS

__all__ = ["CONTAINER_STATES", "committed", "container_details", "container_entry"]

CONTAINER_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
"""The states that a container can have; those that are listed here are all exited."""

_SHM_SIZE = 64 << 20

# What could have been set for a container, and is not for those of builds, by the value that says so.
_UNSET: tuple[tuple[object, tuple[str, ...]], ...] = (
    (
        None,
        (
            *("Binds", "PortBindings", "VolumesFrom", "CapAdd", "CapDrop", "Dns", "DnsOptions", "DnsSearch"),
            *("ExtraHosts", "GroupAdd", "Links", "SecurityOpt", "BlkioWeightDevice", "BlkioDeviceReadBps"),
            *("BlkioDeviceWriteBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteIOps", "Devices", "DeviceCgroupRules"),
            *("DeviceRequests", "MemorySwappiness", "PidsLimit", "Ulimits"),
        ),
    ),
    (
        "",
        (
            *("ContainerIDFile", "VolumeDriver", "Cgroup", "PidMode", "UTSMode", "UsernsMode", "Isolation"),
            *("CgroupParent", "CpusetCpus", "CpusetMems"),
        ),
    ),
    (
        0,
        (
            *("OomScoreAdj", "CpuShares", "Memory", "NanoCpus", "BlkioWeight", "CpuPeriod", "CpuQuota"),
            *("CpuRealtimePeriod", "CpuRealtimeRuntime", "KernelMemory", "KernelMemoryTCP", "MemoryReservation"),
            *("MemorySwap", "CpuCount", "CpuPercent", "IOMaximumIOps", "IOMaximumBandwidth"),
        ),
    ),
    (False, ("AutoRemove", "Privileged", "PublishAllPorts", "ReadonlyRootfs", "OomKillDisable")),
)


def container_entry(
    container: Container, *, status: str, labels: Mapping[str, str] | None, sized: bool = False
) -> Document:
    """Return one entry of the container list.

    `status` is a text for people, `labels` are those of its image; with `sized` it tells what its files take.
    """
    entry: Document = {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": str(container.image),
        "ImageID": str(container.image),
        "Command": _command_line(container.command),
        "Created": container.created_ns // SECOND,
        "Ports": [],
    }
    if sized:
        # The engine leaves out what is 0.
        entry |= {"SizeRw": container.size_rw} if container.size_rw else {}
        entry["SizeRootFs"] = container.size_root
    return entry | {
        "Labels": labels or {},
        "State": "exited",
        "Status": status,
        "HostConfig": {"NetworkMode": _network(container)},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


def _network(container: Container) -> str:
    return container.process.network if container.process else "default"


def _command_line(command: Sequence[str]) -> str:
    """Return `command` as one text; arguments with a space are put in quotes, as the engine does it."""
    return " ".join([*command[:1], *(f"'{argument}'" if " " in argument else argument for argument in command[1:])])


def container_details(
    container: Container, image: StoredImage | None, *, driver: str, runtime: str, sized: bool = False
) -> Document:
    """Return what inspecting an intermediate container shows; `image` is what it ran on, None if that is not here."""
    details: Document = {
        "Id": container.id,
        "Created": format_time(container.created_ns),
        "Path": container.command[0] if container.command else "",
        "Args": container.command[1:],
        "State": _state(container),
        "Image": str(container.image),
        **dict.fromkeys(("ResolvConfPath", "HostnamePath", "HostsPath", "LogPath"), ""),
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": driver,
        "Platform": "linux",
        **dict.fromkeys(("MountLabel", "ProcessLabel", "AppArmorProfile"), ""),
        "ExecIDs": None,
        "HostConfig": _host_config(runtime, _network(container)),
        "GraphDriver": {"Data": None, "Name": driver},
    }
    if sized:
        details |= {"SizeRw": container.size_rw, "SizeRootFs": container.size_root}
    return details | {
        "Mounts": [],
        "Config": _config(container, image.config.run if image else RunConfig()),
        "NetworkSettings": _network_settings(),
    }


def _state(container: Container) -> Document:
    """Return how the container ended."""
    return {
        "Status": "exited",
        **dict.fromkeys(("Running", "Paused", "Restarting", "OOMKilled", "Dead"), False),
        "Pid": 0,
        "ExitCode": container.exit_code,
        "Error": "",
        "StartedAt": format_time(container.created_ns),
        "FinishedAt": format_time(container.finished_ns or container.created_ns),
    }


def _config(container: Container, run: RunConfig) -> Document:
    """Return what the container ran: the image's configuration, with the command of the step in place of its own."""
    process = container.process
    ran = {"Env": process.env, "User": process.user} if process else {}
    return (
        run_config(run, MINIMUM)
        | ran
        | {
            "Hostname": container.id[:12],
            "Cmd": container.command,
            "Entrypoint": None,
            "Image": str(container.image),
            "Labels": run.labels or {},
            # Nobody asks a step of a build whether it is well.
            "Healthcheck": {"Test": ["NONE"]},
        }
    )


def _host_config(runtime: str, network: str) -> Document:
    document: Document = {name: value for value, names in _UNSET for name in names}
    return document | {
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": network,
        "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
        "CgroupnsMode": "private",
        "IpcMode": "private",
        "ShmSize": _SHM_SIZE,
        "Runtime": runtime,
        "ConsoleSize": [0, 0],
        "MaskedPaths": MASKED_PATHS,
        "ReadonlyPaths": READONLY_PATHS,
    }


def _network_settings() -> Document:
    return {
        **dict.fromkeys(("Bridge", "SandboxID", "SandboxKey", "LinkLocalIPv6Address", "EndpointID", "Gateway"), ""),
        **dict.fromkeys(("GlobalIPv6Address", "IPAddress", "IPv6Gateway", "MacAddress"), ""),
        **dict.fromkeys(("LinkLocalIPv6PrefixLen", "GlobalIPv6PrefixLen", "IPPrefixLen"), 0),
        **dict.fromkeys(("SecondaryIPAddresses", "SecondaryIPv6Addresses"), None),
        "HairpinMode": False,
        "Ports": {},
        "Networks": {},
    }


def committed(image: Digest) -> Document:
    """Return what making an image of a container came to."""
    return {"Id": str(image)}
