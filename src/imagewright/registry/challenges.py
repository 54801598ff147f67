"""What a registry says about how to authenticate: the `WWW-Authenticate` header.

https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Challenge", "parse_challenges"]

_LIMIT = 16 << 10
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 # a grammar's token
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?=[\s,]|$)(?!\s*=)\s*")
_PARAMETER = re.compile(rf"[\s,]*({_TOKEN})\s*=\s*(?:\"((?:[^\"\\]|\\.)*)\"|({_TOKEN}))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate; `scheme` and the names of parameters in lower case."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenges(values: Iterable[str]) -> tuple[Challenge, ...]:
    """Return the challenges in the header's `values`, in order; what cannot be read ends its value."""
    found: list[Challenge] = []
    for value in values:
        position, text = 0, value[:_LIMIT]
        while match := _SCHEME.match(text, position):
            parameters: dict[str, str] = {}
            position = match.end()
            while parameter := _PARAMETER.match(text, position):
                quoted = parameter[2]
                parameters[parameter[1].lower()] = parameter[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
                position = parameter.end()
            found.append(Challenge(match[1].lower(), parameters))
    return tuple(found)
