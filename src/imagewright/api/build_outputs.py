"""The parameter `outputs` of `POST /build`: what a build's result is handed out as.

The engine's classic builder ignores it, and its BuildKit takes `local` and `tar` by way of a session. Here both are the
answer itself: a tar of the files.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from imagewright.api.go_json import decode
from imagewright.api.query import Query
from imagewright.api.versions import ApiVersion
from imagewright.errors import InvalidInput, Unsupported
from imagewright.reference import Reference

__all__ = ["Output", "parse_output", "parse_tag"]

# What each type is handed out as, and the attributes that it has; where the files go is the client's business.
_FILES: Mapping[str, bool] = {"": False, "moby": False, "image": False, "tar": True, "local": True}
_ATTRIBUTES: Mapping[bool, frozenset[str]] = {False: frozenset({"name"}), True: frozenset({"dest"})}


@dataclass(frozen=True, slots=True)
class Output:
    """How the result is handed out: with `files` as a tar of its files, else as messages; `tags` are more names."""

    files: bool = False
    tags: tuple[Reference, ...] = ()


def parse_output(query: Query, version: ApiVersion) -> Output:
    """Return what the parameter asks for, nothing below version 1.40.

    Raises `InvalidInput` for what is none, `Unsupported` for an attribute that is not here; both name the parameter.
    """
    text = query.get("outputs")
    if not text or not version.at_least(1, 40):
        return Output()
    try:
        found = decode(text, "[]types.ImageBuildOutput") or []
    except InvalidInput as error:
        raise InvalidInput(f"outputs: {error}") from error
    if len(found) > 1:
        raise InvalidInput("outputs: multiple outputs not supported")
    return _output(found[0]["Type"], found[0]["Attrs"] or {}) if found else Output()


def _output(kind: str, attributes: Mapping[str, str]) -> Output:
    if kind not in _FILES:
        raise InvalidInput(f'outputs: exporter "{kind[:100]}" could not be found')
    files = _FILES[kind]
    for name in attributes.keys() - _ATTRIBUTES[files]:
        raise Unsupported(f'outputs: the attribute "{name[:100]}" of the type "{kind}" is not supported')
    names = attributes.get("name", "").split(",")
    return Output(files, tuple(parse_tag(name, "outputs") for name in names if name))


def parse_tag(name: str, parameter: str) -> Reference:
    """Return the reference that a result is to be tagged with; raise `InvalidInput`, which names the `parameter`."""
    try:
        reference = Reference.parse(name)
    except InvalidInput as error:
        raise InvalidInput(f"{parameter}: {error}") from error
    if reference.digest is not None:
        raise InvalidInput(f"{parameter}: build tag cannot contain a digest")
    return reference.with_default_tag()
