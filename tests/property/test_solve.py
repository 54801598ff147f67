import threading
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, RunFailed
from imagewright.solve import Transcript, solve


@dataclass(frozen=True, slots=True)
class Job:
    index: int
    inputs: tuple[int, ...]
    fails: bool
    known: bool


@st.composite
def graphs(draw: st.DrawFn, *, failures: bool) -> list[Job]:
    size = draw(st.integers(0, 12))
    return [
        Job(
            index,
            tuple(draw(st.lists(st.integers(0, index - 1), max_size=3))) if index else (),
            failures and draw(st.booleans()) and draw(st.booleans()),
            draw(st.booleans()),
        )
        for index in range(size)
    ]


class Work:
    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []
        self.transcript: Transcript[tuple[int, str]] = Transcript(self.told.append)
        self.lock = threading.Lock()
        self.begun: set[int] = set()

    def recall(self, node: Job, inputs: Sequence[int]) -> int | None:
        self.transcript.reporter(node.index)((node.index, "begin"))
        with self.lock:
            self.begun.add(node.index)
        if node.known and not node.fails:
            self.transcript.finish(node.index)
            return 1 + sum(inputs)
        return None

    def perform(self, node: Job, inputs: Sequence[int], cancellation: Cancellation) -> int:
        report = self.transcript.reporter(node.index)
        report((node.index, "perform"))
        if node.fails:
            raise RunFailed(str(node.index), exit_code=1)
        cancellation.check()
        report((node.index, "end"))
        self.transcript.finish(node.index)
        return 1 + sum(inputs)


def expected(nodes: Sequence[Job]) -> list[int]:
    values: list[int] = []
    for node in nodes:
        values.append(1 + sum(values[needed] for needed in node.inputs))
    return values


@settings(max_examples=60, deadline=None)
@given(graphs(failures=False), st.integers(1, 4))
def test_any_graph_has_one_result_and_one_transcript(nodes: list[Job], workers: int) -> None:
    work = Work()
    assert solve(nodes, work, workers=workers, cancellation=Cancellation()) == expected(nodes)
    assert work.told == [
        (node.index, word) for node in nodes for word in (["begin"] if node.known else ["begin", "perform", "end"])
    ]


@settings(max_examples=60, deadline=None)
@given(graphs(failures=True), st.integers(1, 4))
def test_the_earliest_failure_is_the_outcome_and_the_end_of_the_transcript(nodes: list[Job], workers: int) -> None:
    work = Work()
    first = next((node.index for node in nodes if node.fails), None)
    if first is None:
        assert solve(nodes, work, workers=workers, cancellation=Cancellation()) == expected(nodes)
        return
    with pytest.raises(RunFailed, match=f"^{first}$"):
        solve(nodes, work, workers=workers, cancellation=Cancellation())
    assert set(range(first + 1)) <= work.begun
    assert work.told[-1] == (first, "perform")
    assert [index for index, word in work.told if word == "begin"] == list(range(first + 1))


@settings(max_examples=40, deadline=None)
@given(graphs(failures=False), st.integers(1, 4), st.integers(0, 12))
def test_cancelling_at_any_node_ends_it(nodes: list[Job], workers: int, where: int) -> None:
    cancellation = Cancellation()

    class Cancelling(Work):
        def recall(self, node: Job, inputs: Sequence[int]) -> int | None:
            if node.index == where:
                cancellation.cancel()
            return super().recall(node, inputs)

    try:
        values = solve(nodes, Cancelling(), workers=workers, cancellation=cancellation)
    except Cancelled:
        assert cancellation.cancelled
    else:
        assert values == expected(nodes)
