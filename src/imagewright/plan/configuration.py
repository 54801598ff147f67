"""What single instructions change in a run configuration, each as a function from one configuration to the next."""

import posixpath
from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from imagewright.errors import InvalidInput
from imagewright.oci import Healthcheck, RunConfig

__all__ = [
    "DEFAULT_PATH",
    "DEFAULT_SHELL",
    "check_path",
    "clean_path",
    "environment",
    "join_workdir",
    "shell_of",
    "size_of",
    "with_default_path",
    "with_env",
    "with_healthcheck",
    "with_labels",
    "with_ports",
    "with_trigger",
    "with_volumes",
]

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
DEFAULT_SHELL = ("/bin/sh", "-c")

_LONGEST_PATH = 4096
_PATH_SHOWN = 64

# What the documents have as the value of a port or volume; never changed, so one will do.
_EMPTY: dict[str, Any] = {}


def environment(config: RunConfig) -> dict[str, str]:
    """Return the variables of `config` in their order."""
    variables: dict[str, str] = {}
    for text in config.env or ():
        name, _, value = text.partition("=")
        variables[name] = value
    return variables


def shell_of(config: RunConfig) -> tuple[str, ...]:
    """Return what goes before the text of a shell form."""
    return config.shell or DEFAULT_SHELL


def size_of(config: RunConfig) -> int:
    """Return how many entries the lists of `config` have together."""
    lists = (config.env, config.labels, config.exposed_ports, config.volumes, config.on_build)
    return sum(len(entries) for entries in lists if entries)


def with_default_path(config: RunConfig) -> RunConfig:
    """Return `config` with a PATH: every image that is built has one."""
    if "PATH" in environment(config):
        return config
    return replace(config, env=(*(config.env or ()), f"PATH={DEFAULT_PATH}"))


def with_env(config: RunConfig, pairs: Iterable[tuple[str, str]]) -> RunConfig:
    """Return `config` with variables set: in place where they were, at the end where they are new."""
    # The strings of variables that stay are kept, not made again: they may be large, and there is one list per node.
    variables = list(config.env or ())
    places = {text.partition("=")[0]: place for place, text in enumerate(variables)}
    for name, value in pairs:
        if not name:
            raise InvalidInput(f"invalid environment variable: ={value}")
        place = places.setdefault(name, len(variables))
        variables[place : place + 1] = [f"{name}={value}"]
    return replace(config, env=tuple(variables))


def with_labels(config: RunConfig, pairs: Iterable[tuple[str, str]]) -> RunConfig:
    """Return `config` with labels set."""
    return replace(config, labels={**(config.labels or {}), **dict(pairs)})


def with_ports(config: RunConfig, ports: Sequence[str]) -> RunConfig:
    """Return `config` with `ports`, such as `80/tcp`, exposed too; unchanged if there are none."""
    if not ports:
        return config
    return replace(config, exposed_ports={**(config.exposed_ports or {}), **dict.fromkeys(ports, _EMPTY)})


def with_volumes(config: RunConfig, paths: Sequence[str]) -> RunConfig:
    """Return `config` with volumes declared too; raise `InvalidInput` for an empty path."""
    volumes = dict.fromkeys((path.strip() for path in paths), _EMPTY)
    if "" in volumes:
        raise InvalidInput("VOLUME specified can not be an empty string")
    return replace(config, volumes={**(config.volumes or {}), **volumes})


def with_healthcheck(config: RunConfig, check: Healthcheck) -> RunConfig:
    """Return `config` with `check`, which takes nothing from the one that it replaces.

    https://docs.docker.com/reference/dockerfile/#healthcheck: only the last one takes effect.
    """
    return replace(config, healthcheck=check)


def with_trigger(config: RunConfig, trigger: str) -> RunConfig:
    """Return `config` with one more instruction for builds on top of the image."""
    return replace(config, on_build=(*(config.on_build or ()), trigger))


def check_path(path: str) -> str:
    """Return `path`; raise `InvalidInput` if it is longer than the kernel takes."""
    if len(path) > _LONGEST_PATH:
        raise InvalidInput(f"{path[:_PATH_SHOWN]}...: file name too long: more than {_LONGEST_PATH} characters")
    return path


def join_workdir(current: str, path: str) -> str:
    """Return the working directory that `WORKDIR path` makes of `current`.

    Raises `InvalidInput` for an empty path, and for one that is too long.

    An absolute path stays as it is written: the engine records it so. `clean_path` is for whoever uses it.
    """
    if not path:
        raise InvalidInput("cannot normalize nothing")
    if path.startswith("/"):
        return check_path(path)
    return check_path(clean_path(f"{current}/{path}"))


def clean_path(path: str) -> str:
    """Return `path` from the root, without empty, `.` and `..` components; `..` stops at the root."""
    return "/" + posixpath.normpath(f"/{path}").lstrip("/")
