"""Options about registries: which are mirrors, which need no certificate, and where certificates are."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from imagewright.errors import InvalidInput

if TYPE_CHECKING:
    from imagewright.registry import Settings

__all__ = ["RegistryOptions", "registry_options"]

_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryOptions:
    """What was said about registries, as it was said; `certificates` is None if nothing was.

    The `..._source` say where, for the message about what is wrong with it.
    """

    mirrors: Sequence[str] = ()
    insecure: Sequence[str] = ()
    certificates: str | None = None
    mirrors_source: str = "--registry-mirror"
    insecure_source: str = "--insecure-registry"

    @property
    def given(self) -> tuple[str, ...]:
        """The names of those options that were given."""
        options = {"--registry-mirror": self.mirrors, "--insecure-registry": self.insecure}
        certificates = () if self.certificates is None else ("--certs-dir",)
        return (*(name for name, values in options.items() if values), *certificates)

    def settings(self) -> "Settings":
        """Return the settings that they come to; raise `InvalidInput`, which names the option."""
        # Only where they are used: what opens connections takes a while to import.
        from imagewright.registry import Settings, parse_insecure, parse_mirror  # noqa: PLC0415

        mirrors = _parsed(self.mirrors_source, self.mirrors, parse_mirror)
        insecure = _parsed(self.insecure_source, self.insecure, parse_insecure)
        if self.certificates is None:
            return Settings(mirrors=mirrors, insecure=insecure)
        # Where the usual one is missing there is nothing to say; one that was named is meant to be there.
        if not os.path.isdir(self.certificates):
            raise InvalidInput(f"--certs-dir: {self.certificates} is not a directory")
        return Settings(mirrors=mirrors, insecure=insecure, certificates=self.certificates)


def registry_options(function: _Function) -> _Function:
    """Add --registry-mirror, --insecure-registry and --certs-dir, for the engine in this process."""
    function = click.option(
        "--certs-dir",
        "certificates",
        metavar="DIR",
        help="Certificates for registries, laid out as Docker's certs.d. [default: /etc/docker/certs.d]",
    )(function)
    function = click.option(
        "--insecure-registry",
        "insecure",
        multiple=True,
        metavar="HOST[:PORT]|CIDR",
        help="Registry whose certificate is not verified, or that has none; may be repeated.",
    )(function)
    return click.option(
        "--registry-mirror",
        "mirrors",
        multiple=True,
        metavar="URL",
        help="Mirror to ask before Docker Hub; may be repeated.",
    )(function)


def _parsed(source: str, texts: Sequence[str], parse: Callable[[str], str]) -> tuple[str, ...]:
    try:
        return tuple(dict.fromkeys(map(parse, texts)))
    except InvalidInput as error:
        raise InvalidInput(f"{source}: {error}") from error
