"""The documents of the Docker Engine API, in its own key names: nowhere else in imagewright are they spelt.

What changed with which version: https://docs.docker.com/reference/api/engine/version-history/. `version` is that of the
request; times are seconds or RFC 3339 texts, sizes bytes.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from imagewright.api.versions import MAXIMUM, MINIMUM, ApiVersion
from imagewright.engine import Container, EngineInfo, HistoryItem, ImageSummary, Removal, StoredImage
from imagewright.oci import RunConfig, format_time

__all__ = [
    "CONTAINER_STATES",
    "Document",
    "aux_message",
    "container_details",
    "container_entry",
    "error",
    "error_message",
    "history",
    "image_details",
    "image_entry",
    "removals",
    "status_message",
    "stream_message",
    "system_information",
    "version_information",
    "volumes",
]

Document = dict[str, Any]

_NO_TIME = "0001-01-01T00:00:00Z"
_NO_NAME = "<none>:<none>"
_NO_DIGEST = "<none>@<none>"
_MISSING = "<missing>"
_SECOND = 1_000_000_000


def error(message: str) -> Document:
    """Return the body of every answer that is not a success."""
    return {"message": message}


def image_entry(image: ImageSummary, version: ApiVersion) -> Document:
    """Return one entry of the image list."""
    tags: Sequence[str] | None = image.tags
    digests: Sequence[str] | None = image.digests
    if not version.at_least(1, 43):
        if not tags and not digests:
            tags, digests = (_NO_NAME,), (_NO_DIGEST,)
        tags, digests = tags or None, digests or None
    entry: Document = {
        "Containers": image.containers if version.at_least(1, 51) else -1,
        "Created": image.created_ns // _SECOND,
        "Id": str(image.id),
        "Labels": image.labels or None,
        "ParentId": str(image.parent or ""),
        "RepoDigests": digests,
        "RepoTags": tags,
        # Not computed: clients read -1 so.
        "SharedSize": -1,
        "Size": image.size,
    }
    if not version.at_least(1, 44):
        entry["VirtualSize"] = image.size
    return entry


def image_details(image: StoredImage, version: ApiVersion, driver: str) -> Document:
    """Return what inspecting an image shows; `driver` names how layers are mounted."""
    config = image.config
    details: Document = {
        "Id": str(image.id),
        "RepoTags": [reference.familiar for reference in image.tags],
        "RepoDigests": [reference.familiar for reference in image.digests],
        "Parent": str(image.parent or ""),
        "Comment": config.comment,
        "Created": config.created or _NO_TIME,
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": _run_config(config.run, version),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size,
        "GraphDriver": {"Data": None, "Name": driver},
        "RootFS": {"Type": "layers", "Layers": [str(diff_id) for diff_id in config.diff_ids]},
        "Metadata": {"LastTagTime": format_time(image.tagged_ns) if image.tagged_ns else _NO_TIME},
    }
    if config.variant:
        details["Variant"] = config.variant
    if not version.at_least(1, 45):
        details["Container"], details["ContainerConfig"] = _making_of(image, version)
    if not version.at_least(1, 44):
        details["VirtualSize"] = image.size
    return details


def _making_of(image: StoredImage, version: ApiVersion) -> tuple[str, Document]:
    """Return the container that the image was committed from: images from older engines tell of it."""
    document = msgspec.json.decode(image.config_bytes)
    container = document.get("container")
    config = document.get("container_config")
    try:
        run = msgspec.convert(config if isinstance(config, dict) else {}, RunConfig)
    except msgspec.ValidationError:
        run = RunConfig()
    return container if isinstance(container, str) else "", _run_config(run, version)


# Keys that came from the container configuration and say nothing about an image.
_LEGACY_CONFIG: Document = {
    "Hostname": "",
    "Domainname": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Image": "",
}


def _run_config(config: RunConfig, version: ApiVersion) -> Document:
    document: Document = {} if version.at_least(1, 50) else dict(_LEGACY_CONFIG)
    document |= {
        "User": config.user,
        "Env": config.env,
        "Cmd": config.cmd,
        "Entrypoint": config.entrypoint,
        "Volumes": config.volumes,
        "WorkingDir": config.working_dir,
        "Labels": config.labels,
        "OnBuild": config.on_build,
    }
    # What is set beyond these, under the names of the image configuration, which are the same.
    for name, value in msgspec.to_builtins(config).items():
        document.setdefault(name, value)
    return document


def history(items: Sequence[HistoryItem]) -> list[Document]:
    """Return the history of an image, newest first."""
    return [
        {
            "Comment": item.comment,
            "Created": item.created_ns // _SECOND,
            "CreatedBy": item.created_by,
            "Id": str(item.id) if item.id else _MISSING,
            "Size": item.size,
            "Tags": item.tags or None,
        }
        for item in items
    ]


def removals(done: Sequence[Removal]) -> list[Document]:
    """Return what a removal did, in order."""
    return [
        {"Untagged": step.untagged} if step.untagged is not None else {"Deleted": str(step.deleted)} for step in done
    ]


def volumes() -> Document:
    """Return the list of volumes, of which there are none."""
    return {"Volumes": [], "Warnings": None}


CONTAINER_STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
"""The states that a container can have; those that are listed here are all exited."""


def container_entry(container: Container, command: str, status: str) -> Document:
    """Return one entry of the container list; `command` and `status` are texts for people."""
    return {
        "Id": container.id,
        "Names": [f"/{container.name}"],
        "Image": str(container.image),
        "ImageID": str(container.image),
        "Command": command,
        "Created": container.created_ns // _SECOND,
        "Ports": [],
        "Labels": {},
        "State": "exited",
        "Status": status,
        "HostConfig": {"NetworkMode": "default"},
        "NetworkSettings": {"Networks": {}},
        "Mounts": [],
    }


def container_details(container: Container, driver: str, runtime: str) -> Document:
    """Return what inspecting an intermediate container shows."""
    created = format_time(container.created_ns)
    state = {
        "Status": "exited",
        "Running": False,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "Dead": False,
        "Pid": 0,
        "ExitCode": container.exit_code,
        "Error": "",
        "StartedAt": created,
        "FinishedAt": created,
    }
    config = {
        **_run_config(RunConfig(cmd=container.command, labels={}), MINIMUM),
        "Hostname": container.id[:12],
        "Image": str(container.image),
    }
    return {
        "Id": container.id,
        "Created": created,
        "Path": container.command[0] if container.command else "",
        "Args": container.command[1:],
        "State": state,
        "Image": str(container.image),
        "Name": f"/{container.name}",
        "RestartCount": 0,
        "Driver": driver,
        "Platform": "linux",
        "ExecIDs": None,
        "HostConfig": {
            "Binds": None,
            "LogConfig": {"Type": "none", "Config": {}},
            "NetworkMode": "default",
            "PortBindings": None,
            "RestartPolicy": {"Name": "", "MaximumRetryCount": 0},
            "AutoRemove": False,
            "Privileged": False,
            "Runtime": runtime,
        },
        "GraphDriver": {"Data": None, "Name": driver},
        "Mounts": [],
        "Config": config,
        "NetworkSettings": {"Ports": {}, "Networks": {}},
    }


# How machines call architectures that Go, and so the API elsewhere, calls otherwise.
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "386": "i686", "arm": "armv7l"}


# Clients warn where one is missing.
_KERNEL_ABILITIES = (
    *("MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit", "OomKillDisable"),
    *("IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables"),
)


def system_information(info: EngineInfo, *, now_ns: int, host: str, release: str) -> Document:
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
        "RegistryConfig": {"InsecureRegistryCIDRs": ["127.0.0.0/8"], "IndexConfigs": {}, "Mirrors": []},
        "NCPU": info.cpus,
        "MemTotal": info.memory,
        "GenericResources": None,
        "DockerRootDir": info.data_root,
        "HttpProxy": "",
        "HttpsProxy": "",
        "NoProxy": "",
        "Name": host,
        "Labels": [],
        "ExperimentalBuild": False,
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


def version_information(info: EngineInfo, *, release: str, python: str) -> Document:
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
    details = {**facts, "Experimental": "false", "PythonVersion": python}
    return {
        "Platform": {"Name": "imagewright"},
        "Components": [{"Name": "Engine", "Version": release, "Details": details}],
        "Version": release,
        **facts,
    }


def stream_message(text: str) -> Document:
    """Return a message that carries a piece of the log."""
    return {"stream": text}


def aux_message(image_id: str) -> Document:
    """Return the message that names the image a stage came to."""
    return {"aux": {"ID": image_id}}


def error_message(message: str, code: int | None = None) -> Document:
    """Return the last message of work that failed; `code` is the exit code of a RUN."""
    detail: Document = {"message": message} if code is None else {"code": code, "message": message}
    return {"errorDetail": detail, "error": message}


def status_message(
    status: str, *, subject: str = "", current: int | None = None, total: int | None = None, bar: str = ""
) -> Document:
    """Return a message about a transfer: `current` of `total` bytes, drawn as `bar` for those who do not draw it."""
    message: Document = {"status": status}
    if current is not None or total is not None:
        counts = {"current": current, "total": total}
        message["progressDetail"] = {name: count for name, count in counts.items() if count}
    if bar:
        message["progress"] = bar
    if subject:
        message["id"] = subject
    return message
