"""A JSON object, and what several kinds of them share."""

from typing import Any

import msgspec

from imagewright.api.versions import ApiVersion
from imagewright.oci import RunConfig

__all__ = ["NO_TIME", "SECOND", "Document", "run_config"]

Document = dict[str, Any]

NO_TIME = "0001-01-01T00:00:00Z"
"""How the engine writes that there is no time."""

SECOND = 1_000_000_000
"""The nanoseconds of a second."""

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


def run_config(config: RunConfig, version: ApiVersion) -> Document:
    """Return a configuration as images and containers have it."""
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
