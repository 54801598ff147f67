"""From a parsed Dockerfile to a plan."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from imagewright.oci import Platform
from imagewright.plan.graph import Plan
from imagewright.plan.ops import Base

if TYPE_CHECKING:
    from imagewright.dockerfile import Dockerfile

__all__ = ["Resolve", "compile"]


class Resolve(Protocol):
    """Finds the images that a Dockerfile names."""

    def __call__(self, name: str, platform: Platform) -> Base:
        """Return the image that `name`, expanded but not yet parsed, stands for; raise an `ImagewrightError` if none."""


def compile(  # noqa: A001 - the name of the verb in this field
    dockerfile: "Dockerfile",
    *,
    target: str = "",
    build_args: Mapping[str, str | None],
    labels: Mapping[str, str],
    platform: Platform,
    build_platform: Platform | None = None,
    resolve: Resolve,
) -> Plan:
    """Return the plan that builds stage `target` (a name or a number, "" for the last one) of `dockerfile`.

    Only stages that the target needs are in it. Raises `DockerfileError` where there is nothing to build; an error
    that belongs to an instruction becomes a `Fail` at its place, after which the plan has no more nodes.
    """
    raise NotImplementedError
