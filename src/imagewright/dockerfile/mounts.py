"""What `RUN --mount=...` says: https://docs.docker.com/reference/dockerfile/#run---mount."""

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from imagewright.errors import InvalidInput

__all__ = ["MountFlag", "MountKind", "Sharing", "check_mount", "parse_mount"]

MountKind = Literal["bind", "cache", "tmpfs", "secret", "ssh"]
Sharing = Literal["shared", "private", "locked"]

_KINDS = ("bind", "cache", "tmpfs", "secret", "ssh")
_SHARING = ("shared", "private", "locked")
_OWNED = frozenset({"cache", "secret", "ssh"})
_KEYS = {"src": "source", "dst": "target", "destination": "target", "ro": "readonly", "rw": "readwrite"}
_VARIABLE = re.compile(r"\$.")
_OCTAL = re.compile(r"[0-7]{1,11}")
_DECIMAL = re.compile(r"[0-9]{1,10}")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]*)?) ?([kmgtp]?)i?b?", re.IGNORECASE)
_UNITS = {unit: 1 << (10 * power) for power, unit in enumerate(("", "k", "m", "g", "t", "p"))}
_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFlag:
    """One mount; what the file does not say is empty or None. `size` is in bytes, 0 for no limit.

    `env` is the variable that a secret is put into.
    """

    kind: MountKind = "bind"
    from_: str = ""
    source: str = ""
    target: str = ""
    readonly: bool = True
    id: str = ""
    sharing: Sharing = "shared"
    required: bool = False
    size: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    env: str = ""


def check_mount(text: str) -> str:
    """Return what `text` says for `from`, before any variable is known; raise `InvalidInput` for what cannot be.

    Everything else waits for its variables: a `from` is needed to know which stages there are to build.
    """
    source = ""
    for field in _fields(text):
        key, equals, value = field.partition("=")
        if key.lower() == "from" and equals:
            if _VARIABLE.search(value):
                raise InvalidInput("'from' doesn't support variable expansion, define alias stage instead")
            source = value
    return source


def parse_mount(text: str, expand: Callable[[str], str]) -> MountFlag:
    """Return what `text`, the value of a `--mount`, says, values by way of `expand`; raises `InvalidInput`."""
    values: dict[str, str] = {}
    for field in _fields(text):
        name, equals, value = field.partition("=")
        name = name.lower()
        key = _KEYS.get(name, name)
        if not equals:
            if key not in {"readonly", "readwrite", "required"}:
                raise InvalidInput(f"invalid field '{field}' must be a key=value pair")
            value = "true"
        elif key not in _READERS:
            raise InvalidInput(f"unexpected key '{name}' in '{field}'")
        else:
            value = expand(value)
        # Of two that say the same the last one counts, and whether something may be written is one thing.
        if key in {"readonly", "readwrite"}:
            value = "true" if _boolean(name, value) == (key == "readonly") else "false"
            key = "readonly"
        values[key] = value
    kind = _kind(values.pop("type", "bind"))
    _check_allowed(kind, values)
    given: dict[str, Any] = {_ATTRIBUTES.get(key, key): _READERS[key](key, value) for key, value in values.items()}
    given.setdefault("readonly", kind not in {"cache", "tmpfs"})
    return MountFlag(kind=kind, **given)


def _fields(text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise InvalidInput(f"failed to parse csv mounts: {error}") from error
    return rows[0] if rows else []


def _kind(text: str) -> MountKind:
    if text.lower() not in _KINDS:
        raise InvalidInput(f'unsupported mount type "{text}"')
    return cast("MountKind", text.lower())


def _check_allowed(kind: MountKind, values: dict[str, str]) -> None:
    """Raise `InvalidInput` if there is a value that mounts of this kind have no use for."""
    for key, kinds in (("required", {"secret", "ssh"}), ("size", {"tmpfs"}), ("env", {"secret"})):
        if key in values and kind not in kinds:
            raise InvalidInput(f"unexpected key '{key}' for mount type '{kind}'")
    if kind not in _OWNED:
        for key in ("mode", "uid", "gid"):
            if key in values:
                raise InvalidInput(f'{key} not allowed for "{kind}" type mounts')
    if kind == "secret":
        if values.get("from"):
            raise InvalidInput("secret mount should not have a from")
        if values.get("sharing"):
            raise InvalidInput("secret mount should not define sharing")
        if not any(values.get(key) for key in ("source", "target", "id")):
            raise InvalidInput("invalid secret mount. one of source, target required")
        if values.get("source") and values.get("id"):
            raise InvalidInput("both source and id can't be set")
    if values.get("sharing") and kind != "cache":
        raise InvalidInput(f"invalid cache sharing set for {kind} mount")
    if not values.get("sharing"):
        values.pop("sharing", None)


def _text(_key: str, value: str) -> str:
    return value


def _boolean(key: str, value: str) -> bool:
    if value not in _TRUE | _FALSE:
        raise InvalidInput(f"invalid value for {key}: {value}")
    return value in _TRUE


def _sharing(_key: str, value: str) -> Sharing:
    if value.lower() not in _SHARING:
        raise InvalidInput(f'unsupported sharing value "{value}"')
    return cast("Sharing", value.lower())


def _octal(key: str, value: str) -> int:
    if not _OCTAL.fullmatch(value) or int(value, 8) > 0o7777:
        raise InvalidInput(f"invalid value {value} for {key}")
    return int(value, 8)


def _number(key: str, value: str) -> int:
    if not _DECIMAL.fullmatch(value) or int(value) >= 1 << 31:
        raise InvalidInput(f"invalid value {value} for {key}")
    return int(value)


def _bytes(key: str, value: str) -> int:
    match = _SIZE.fullmatch(value.strip())
    if match is None or (size := int(float(match[1]) * _UNITS[match[2].lower()])) >= 1 << 62:
        raise InvalidInput(f"invalid value for {key}: {value}")
    return size


_ATTRIBUTES = {"from": "from_"}
_READERS: dict[str, Callable[[str, str], object]] = {
    "type": _text,
    "from": _text,
    "source": _text,
    "target": _text,
    "readonly": _boolean,
    "readwrite": _boolean,
    "id": _text,
    "sharing": _sharing,
    "required": _boolean,
    "size": _bytes,
    "mode": _octal,
    "uid": _number,
    "gid": _number,
    "env": _text,
}
