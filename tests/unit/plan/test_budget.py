from collections.abc import Sequence

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Platform, RunConfig
from imagewright.plan.budget import MOST_ENTRIES, MOST_TEXT, Budget
from imagewright.plan.ops import AddFiles, Configure, CopyFiles, Document, Op
from imagewright.plan.translation import StageState, Translation
from imagewright.plan.variables import BuildArgs, Scope

LINUX = Platform("linux", "amd64")


def begin(env: Sequence[str] = ()) -> StageState:
    scope = Scope(BuildArgs({}, platform=LINUX, build_platform=LINUX))
    return StageState(RunConfig(env=tuple(env)), scope, "\\", len)


def test_variables_times_instructions_count() -> None:
    budget = Budget()
    state = begin(["A=1"] * (MOST_ENTRIES // 4))
    for _ in range(4):
        budget.spend(Translation(Configure(""), ""), state)
    with pytest.raises(InvalidInput, match="too large"):
        budget.spend(Translation(Configure(""), ""), state)


def test_args_count_too() -> None:
    budget = Budget()
    state = begin(["A=1"] * MOST_ENTRIES)
    state.scope.declare("A", None)
    with pytest.raises(InvalidInput, match="too large"):
        budget.spend(Translation(Configure(""), ""), state)


LARGE = "x" * (MOST_TEXT // 2)


@pytest.mark.parametrize(
    ("op", "created_by"),
    [
        (Configure(""), LARGE),
        (CopyFiles(sources=(LARGE,), destination=""), ""),
        (CopyFiles(sources=(), destination="", chown=LARGE), ""),
        (AddFiles(sources=(), destination="", documents=(Document("a", LARGE),)), ""),
    ],
)
def test_text_counts_wherever_it_is(op: Op, created_by: str) -> None:
    budget = Budget()
    translation = Translation(op, created_by)
    budget.spend(translation, begin())
    budget.spend(translation, begin())
    with pytest.raises(InvalidInput, match="too large"):
        budget.spend(Translation(Configure(""), "x"), begin())
