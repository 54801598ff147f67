"""Secrets as the options of a build name them, and on their way to an engine.

https://docs.docker.com/reference/cli/docker/buildx/build/#secret
"""

import base64
import csv
import json
import os
from collections.abc import Iterable, Mapping

from imagewright.errors import InvalidInput

__all__ = ["parse_secrets", "secrets_header"]

# As BuildKit has it, in bytes.
_VALUE_LIMIT = 500 << 10
_HEADER_LIMIT = 64 << 10
_SOURCES = {"src": "src", "source": "src", "env": "env", "id": "id", "type": "type"}


def parse_secrets(option: str, texts: Iterable[str]) -> dict[str, bytes]:
    """Return the values of secrets such as `id=token,src=FILE` or `id=token,env=VARIABLE`, by id.

    Where there is no source it is the variable called like the id, or else the file. Raises `InvalidInput`, which
    names `option` and the id.
    """
    found: dict[str, bytes] = {}
    for text in texts:
        fields = _fields(option, text)
        name = fields.get("id", "")
        if not name:
            raise InvalidInput(f"{option}: the id is missing: it is id=ID[,src=FILE|,env=VARIABLE]")
        try:
            found[name] = _read(name, fields)
        except InvalidInput as error:
            raise InvalidInput(f"{option} id={name}: {error}") from error
    return found


def _fields(option: str, text: str) -> dict[str, str]:
    try:
        (row,) = csv.reader([text], strict=True)
    except (csv.Error, ValueError) as error:
        raise InvalidInput(f"{option}: it is id=ID[,src=FILE|,env=VARIABLE]") from error
    fields: dict[str, str] = {}
    for field in row:
        key, equals, value = field.partition("=")
        # What somebody takes for the value of a secret is not said again.
        if not equals:
            raise InvalidInput(f"{option}: every field must be a key=value pair")
        if key.lower() not in _SOURCES:
            raise InvalidInput(f"{option}: unexpected key {key[:100]!r}: it is one of {', '.join(_SOURCES)}")
        fields[_SOURCES[key.lower()]] = value
    return fields


def _read(name: str, fields: Mapping[str, str]) -> bytes:
    kind = fields.get("type", "")
    if kind not in {"", "file", "env"}:
        raise InvalidInput(f"unsupported secret type {kind!r}")
    variable, path = fields.get("env", ""), fields.get("src", "")
    if kind == "env" and not variable:
        variable, path = path, ""
    if variable and path:
        raise InvalidInput("src and env are both given")
    if not (variable or path):
        if kind != "file" and name in os.environ:
            variable = name
        elif kind == "env":
            raise InvalidInput(f"the variable {name} is not set")
        else:
            path = name
    data = _file(path) if path else _variable(variable)
    if len(data) > _VALUE_LIMIT:
        raise InvalidInput(f"the secret has more than {_VALUE_LIMIT} bytes")
    return data


def _variable(name: str) -> bytes:
    value = os.environb.get(os.fsencode(name))
    if value is None:
        raise InvalidInput(f"the variable {name} is not set")
    return value


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_VALUE_LIMIT + 1)
    except OSError as error:
        raise InvalidInput(f"{path}: {os.strerror(error.errno or 0)}") from error


def secrets_header(secrets: Mapping[str, bytes]) -> dict[str, str]:
    """Return the header that lends an engine `secrets`; raise `InvalidInput` if they are more than one may hold."""
    if not secrets:
        return {}
    document = {name: base64.b64encode(value).decode() for name, value in secrets.items()}
    text = base64.urlsafe_b64encode(json.dumps(document).encode()).decode()
    if len(text) >= _HEADER_LIMIT:
        raise InvalidInput(
            f"--secret: all secrets together come to {len(text)} bytes of a header, which has less than "
            f"{_HEADER_LIMIT}: more of them only an engine in this process can have (--data-root)"
        )
    return {"X-Build-Secrets": text}
