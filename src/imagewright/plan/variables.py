"""Build args and their scopes.

https://docs.docker.com/reference/dockerfile/#scope: a stage sees an arg from its ARG on, and so do stages based on it;
its value is that of the request, else the ARG's default, else that of the ARG before the first FROM. ENV wins.
"""

from collections.abc import Iterable, Mapping

from imagewright.errors import InvalidInput
from imagewright.oci import Platform

__all__ = ["MOST_LOOKED_UP", "BuildArgs", "Scope"]

#: The most characters that the values of variables may have together, counted anew wherever one is used.
MOST_LOOKED_UP = 256 << 20
# What a use costs besides: finding out that a variable is not set takes its time too.
_LOOK_UP = 256

# https://docs.docker.com/reference/dockerfile/#predefined-args
_PROXIES = frozenset(
    name
    for upper in ("HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")
    for name in (upper, upper.lower())
)


class BuildArgs:
    """The build args of a request, and the args declared before the first FROM."""

    def __init__(self, values: Mapping[str, str | None], *, platform: Platform, build_platform: Platform) -> None:
        self._values = {name: value for name, value in values.items() if value is not None}
        self._requested = set(values)
        self._consumed: set[str] = set()
        self._left = MOST_LOOKED_UP
        # https://docs.docker.com/reference/dockerfile/#automatic-platform-args-in-the-global-scope
        self._global: dict[str, str | None] = {}
        for prefix, named in (("TARGET", platform), ("BUILD", build_platform)):
            self._global[f"{prefix}PLATFORM"] = str(named)
            self._global[f"{prefix}OS"] = named.os
            self._global[f"{prefix}ARCH"] = named.architecture
            self._global[f"{prefix}VARIANT"] = named.variant

    def declare(self, name: str, default: str | None) -> None:
        """Declare an arg before the first FROM."""
        self._global[name] = default
        self.consume((name,))

    def consume(self, names: Iterable[str]) -> None:
        """Note that the Dockerfile has a use for the args of these names."""
        self._consumed.update(names)

    def spend(self, value: str | None) -> str | None:
        """Return `value`, which is about to be used; raise `InvalidInput` once the values used are too large."""
        self._left -= _LOOK_UP + len(value or "")
        if self._left < 0:
            raise InvalidInput("the Dockerfile uses too many variables, or too large ones")
        return value

    def find_global(self, name: str) -> str | None:
        """Return what `$name` stands for in FROM, and in ARG before the first FROM; raise what `spend` does."""
        return self.spend(self.find(name, self._global))

    def default_of(self, name: str) -> str | None:
        """Return the default that the arg `name` has from before the first FROM."""
        return self._global.get(name)

    def find(self, name: str, declared: Mapping[str, str | None]) -> str | None:
        """Return the value of the arg `name` where the args `declared`, with their defaults, are in scope."""
        if name not in declared:
            return self._values.get(name) if name in _PROXIES else None
        for values in (self._values, declared, self._global):
            value = values.get(name)
            if value is not None:
                return value
        return None

    def visible(self, declared: Mapping[str, str | None]) -> dict[str, str]:
        """Return the values, sorted by name, of those of the `declared` and the predefined args that have one."""
        found = {name: self.find(name, declared) for name in sorted({*declared, *_PROXIES})}
        return {name: value for name, value in found.items() if value is not None}

    def unused(self) -> tuple[str, ...]:
        """Return the names in the request, sorted, that nothing has consumed; the predefined ones never count."""
        return tuple(sorted(self._requested - self._consumed - _PROXIES))


class Scope:
    """The args of one stage."""

    def __init__(self, build_args: BuildArgs, declared: dict[str, str | None] | None = None) -> None:
        self._build_args = build_args
        self._declared = {} if declared is None else declared
        # What stages share is not changed, but copied when one of them declares more.
        self._shared = declared is not None

    def __len__(self) -> int:
        """Return how many args are declared."""
        return len(self._declared)

    def child(self) -> "Scope":
        """Return the scope of a stage based on this one, as it is now."""
        self._shared = True
        return Scope(self._build_args, self._declared)

    def declare(self, name: str, default: str | None) -> None:
        """Declare an arg from here to the end of the stage.

        Without a default its default is the one from before the first FROM, else the one that it had.
        """
        if default is None and self._build_args.default_of(name) is None:
            default = self._declared.get(name)
        if self._shared:
            self._declared = dict(self._declared)
            self._shared = False
        self._declared[name] = default
        self._build_args.consume((name,))

    def find(self, name: str, environment: Mapping[str, str]) -> str | None:
        """Return what `$name` stands for: an arg, unless `environment` hides it. Raises what `BuildArgs.spend` does."""
        value = environment.get(name)
        return self._build_args.spend(self._build_args.find(name, self._declared) if value is None else value)

    def args(self, environment: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the args that `environment` does not hide, as sorted `NAME=value`: the recorded and the unrecorded.

        Unrecorded are predefined ones that no ARG names.
        """
        recorded: list[str] = []
        unrecorded: list[str] = []
        for name, value in self._build_args.visible(self._declared).items():
            if name not in environment:
                (recorded if name in self._declared else unrecorded).append(f"{name}={value}")
        return tuple(recorded), tuple(unrecorded)
