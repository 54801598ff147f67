"""Sockets of ssh agents, as options name them."""

import os
import stat
from collections.abc import Iterable

from imagewright.errors import InvalidInput

__all__ = ["parse_agents", "parse_forwarded"]

_DEFAULT = "default"
_VARIABLE = "SSH_AUTH_SOCK"


def parse_agents(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the sockets in texts of the form `[ID=]SOCKET` by their id, which is `default` where there is none.

    Raises `InvalidInput`, which names `option`, for a path that is not absolute, and for an id that is there twice.
    Whether there is a socket is asked when it is used: agents come and go.
    """
    agents: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        # A path may have an equals sign in it, an id has no slash.
        if not equals or "/" in name:
            name, path = _DEFAULT, text
        if not name:
            raise InvalidInput(f"{option} {text}: the id is missing: it is [ID=]SOCKET")
        if not os.path.isabs(path):
            raise InvalidInput(f"{option} {text}: the path of the socket must be absolute")
        if name in agents:
            raise InvalidInput(f"{option} {text}: there is a socket for {name!r} already")
        agents[name] = path
    return agents


def parse_forwarded(option: str, texts: Iterable[str]) -> dict[str, str]:
    """Return the sockets of `ID[=SOCKET]`, absolute and there; without a SOCKET it is that of the environment.

    Raises `InvalidInput`, which names `option`, for what is no socket: keys in files belong into an agent first.
    """
    agents: dict[str, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not name:
            raise InvalidInput(f"{option} {text}: the id is missing: it is default or ID[=SOCKET]")
        if name in agents:
            raise InvalidInput(f"{option} {text}: there is a socket for {name!r} already")
        path = path if equals else os.environ.get(_VARIABLE, "")
        if not path:
            raise InvalidInput(f"{option} {text}: no agent is running: {_VARIABLE} is not set")
        agents[name] = _socket(option, text, os.path.abspath(path))
    return agents


def _socket(option: str, text: str, path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidInput(f"{option} {text}: {path}: {os.strerror(error.errno or 0)}") from error
    if not stat.S_ISSOCK(mode):
        raise InvalidInput(f"{option} {text}: {path} is not the socket of an agent: add a key to one with ssh-add")
    return path
