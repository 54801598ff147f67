"""Instructions that change a configuration outside of any build: `changes` of import and commit."""

from collections.abc import Sequence

from msgspec.structs import replace

from imagewright.dockerfile import Healthcheck, Instruction
from imagewright.oci import Platform, RunConfig
from imagewright.plan.translation import StageState, translate
from imagewright.plan.variables import BuildArgs, Scope

__all__ = ["apply_changes"]


def apply_changes(config: RunConfig, changes: Sequence[Instruction]) -> RunConfig:
    """Return `config` after `changes`, which are of the kinds that `dockerfile.parse_changes` lets through.

    Variables are those of ENV alone, no PATH is added, and WORKDIR makes no directory. Raises `InvalidInput` with the
    engine's texts.
    """
    nowhere = Platform("", "")
    scope = Scope(BuildArgs({}, platform=nowhere, build_platform=nowhere))
    state = StageState(config, scope, "\\", int)
    for change in changes:
        if isinstance(change, Healthcheck):
            # Only in a build does a check take something from the one before it.
            state.config = replace(state.config, healthcheck=None)
        translate(change, state)
    return state.config
