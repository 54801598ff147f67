"""What to check: the `check` directive. https://docs.docker.com/reference/dockerfile/#check."""

from collections.abc import Mapping
from dataclasses import dataclass

from imagewright.checks.rules import Rule
from imagewright.dockerfile import Dockerfile
from imagewright.errors import DockerfileError, InvalidInput

__all__ = ["Options", "read_options"]

#: The build arg that replaces the directive.
_BUILD_ARG = "BUILDKIT_DOCKERFILE_CHECK"

_MOST = 3
_TRUE = frozenset({"1", "t", "T", "true", "True", "TRUE"})
_FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})


@dataclass(frozen=True, slots=True)
class Options:
    """Which rules count; `error` makes whatever they find an error.

    `skip` and `skip_all` switch off ordinary rules only, `experimental` and `experimental_all` switch on the others.
    Names that no rule has mean nothing.
    """

    skip: frozenset[str] = frozenset()
    skip_all: bool = False
    experimental: frozenset[str] = frozenset()
    experimental_all: bool = False
    error: bool = False

    def wants(self, rule: Rule) -> bool:
        """Tell whether `rule` counts."""
        if rule.experimental:
            return self.experimental_all or rule.name in self.experimental
        return not (self.skip_all or rule.name in self.skip)


def read_options(
    dockerfile: Dockerfile, build_args: Mapping[str, str | None] | None = None, *, name: str = "Dockerfile"
) -> Options:
    """Return what the build arg BUILDKIT_DOCKERFILE_CHECK or else the directive of `dockerfile` asks for.

    Raises `DockerfileError` for options that are none.
    """
    text = (build_args or {}).get(_BUILD_ARG) or dockerfile.directives.get("check", "")
    try:
        return _parse(text)
    except InvalidInput as error:
        raise DockerfileError(f"failed to parse check options: {error}", path=name) from error


def _parse(text: str) -> Options:
    options: dict[str, str] = {}
    for part in text.strip().split(";", _MOST - 1) if text.strip() else ():
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or name not in {"skip", "experimental", "error"}:
            raise InvalidInput(f'invalid check option "{name if equals else part}"')
        options[name] = value.strip()
    error = options.get("error", "false")
    if error not in _TRUE | _FALSE:
        raise InvalidInput(f'failed to parse check option "error={error}"')
    return Options(
        skip=_names(options.get("skip", "")),
        skip_all=options.get("skip") == "all",
        experimental=_names(options.get("experimental", "")),
        experimental_all=options.get("experimental") == "all",
        error=error in _TRUE,
    )


def _names(text: str) -> frozenset[str]:
    return frozenset(name.strip() for name in text.split(","))
