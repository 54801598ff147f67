"""Options that several commands share."""

from collections.abc import Callable
from typing import TypeVar

import click

from imagewright.errors import InvalidInput

__all__ = ["DEFAULT_DATA_ROOT", "DEFAULT_SOCKET", "engine_options", "parse_assignment", "unix_socket_path"]

DEFAULT_SOCKET = "/run/imagewright.sock"
DEFAULT_DATA_ROOT = "/var/lib/imagewright"

_Function = TypeVar("_Function", bound=Callable[..., object])


def engine_options(function: _Function) -> _Function:
    """Add -H/--host and --data-root, which choose between a running engine and one in this process."""
    function = click.option(
        "-H",
        "--host",
        envvar="IMAGEWRIGHT_HOST",
        metavar="unix://PATH",
        help=f"Engine to ask. [default: unix://{DEFAULT_SOCKET} if it is alive, else an engine in this process]",
    )(function)
    return click.option(
        "--data-root",
        metavar="DIR",
        help=f"Data of the engine in this process, when no host is asked. [default: {DEFAULT_DATA_ROOT}]",
    )(function)


def unix_socket_path(host: str) -> str:
    """Return the path in `unix://PATH`; raise `InvalidInput` for anything else."""
    scheme, separator, path = host.partition("://")
    if separator and scheme == "unix" and path.startswith("/"):
        return path
    raise InvalidInput(f"invalid host {host!r}: only unix:// and an absolute path is supported yet")


def parse_assignment(text: str) -> tuple[str, str | None]:
    """Return name and value of `NAME=VALUE`, None as the value of a bare `NAME`; raise `InvalidInput` without name."""
    name, equals, value = text.partition("=")
    if not name:
        raise InvalidInput(f"invalid value {text!r}: a name is missing")
    return name, value if equals else None
