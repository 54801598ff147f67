"""Where the result of a build goes: what follows `imagewright build --output`."""

import csv
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from imagewright.errors import InvalidInput

__all__ = ["Destination", "parse_destination"]

# The attributes of each type.
_ATTRIBUTES: Mapping[str, frozenset[str]] = {
    "local": frozenset({"dest"}),
    "tar": frozenset({"dest"}),
    "image": frozenset({"name"}),
}


@dataclass(frozen=True, slots=True)
class Destination:
    """`local` is files in the directory `path`, `tar` a file, `-` for standard output; `image` has more `names`."""

    kind: Literal["image", "local", "tar"]
    path: str = ""
    names: tuple[str, ...] = ()


def parse_destination(text: str) -> Destination:
    """Return what `text` says: a directory, `-`, or `type=...,dest=...`; raise `InvalidInput` for anything else."""
    if text == "-":
        return Destination("tar", "-")
    if "=" not in text:
        return Destination("local", text) if text else _refuse(text, "it is empty")
    fields = dict(_assignment(text, field) for row in csv.reader([text]) for field in row)
    kind = fields.pop("type", "")
    if kind not in _ATTRIBUTES:
        return _refuse(text, f"the type {kind!r} is none of {', '.join(_ATTRIBUTES)}")
    for name in fields.keys() - _ATTRIBUTES[kind]:
        return _refuse(text, f"{name!r} is no attribute of the type {kind}")
    if kind == "image":
        return Destination("image", names=tuple(filter(None, fields.get("name", "").split(","))))
    if kind == "tar":
        return Destination("tar", fields.get("dest") or "-")
    if fields.get("dest", "-") in {"", "-"}:
        return _refuse(text, "dest is a directory for the type local")
    return Destination("local", fields["dest"])


def _assignment(text: str, field: str) -> tuple[str, str]:
    name, equals, value = field.partition("=")
    if not equals:
        _refuse(text, f"{field!r} is not NAME=VALUE")
    return name.strip().lower(), os.path.expanduser(value) if name == "dest" else value


def _refuse(text: str, reason: str) -> Destination:
    raise InvalidInput(f"invalid output {text!r}: {reason}")
