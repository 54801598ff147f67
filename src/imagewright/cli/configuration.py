"""The daemon's configuration file, with the keys that it shares with Docker's `daemon.json`.

https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from imagewright.errors import InvalidInput

__all__ = ["read_configuration"]

_LIMIT = 1 << 20
_KEYS: Mapping[str, type] = {
    "data-root": str,
    "hosts": list,
    "insecure-registries": list,
    "registry-mirrors": list,
}


def read_configuration(path: str, flags: Mapping[str, Sequence[str] | str | None]) -> dict[str, Any]:
    """Return what the file says: a text for `data-root`, tuples of texts for the rest; keys that it lacks are absent.

    `flags` are the values of the flags with the same meaning, by key; empty where not given. Raises `InvalidInput`,
    in the engine's words, for a file that cannot be read as such, for unknown keys, and for keys given as flags too.
    """
    try:
        with open(path, "rb") as file:
            document = msgspec.json.decode(file.read(_LIMIT))
    except OSError as error:
        raise InvalidInput(f"--config-file {path}: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"--config-file {path}: it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"--config-file {path}: it is no JSON object")
    unknown = sorted(document.keys() - _KEYS.keys())
    if unknown:
        names = ", ".join(unknown)
        raise InvalidInput(
            f"--config-file {path}: the following directives don't match any configuration option: {names}"
        )
    return {key: _checked(path, key, document[key], flags.get(key)) for key in sorted(document)}


def _checked(path: str, key: str, value: Any, flag: Sequence[str] | str | None) -> Any:
    if flag:
        raise InvalidInput(
            f"--config-file {path}: the following directives are specified both as a flag and in the configuration "
            f"file: {key}: (from flag: {_shown(flag)}, from file: {_shown(value)})"
        )
    if _KEYS[key] is str:
        if not isinstance(value, str):
            raise InvalidInput(f"--config-file {path}: {key} must be a text")
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f"--config-file {path}: {key} must be a list of texts")
    return tuple(value)


def _shown(value: Any) -> str:
    return f"[{' '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)
