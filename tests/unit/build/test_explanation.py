from collections.abc import Mapping

import pytest

from imagewright.build.explanation import Explainer, explain
from imagewright.store import Record

RUN = {"op": "run", "command.0": "make", "parent": "p", "user": ""}


def record(created_ns: int = 0, **changed: str | None) -> Record:
    leaves = {name.replace("_", "."): value for name, value in {**RUN, **changed}.items() if value is not None}
    return Record(diff_id=None, created_ns=created_ns, leaves=leaves)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        ({"parent": "q"}, "what it builds on is not the same"),
        ({"source": "q"}, "what it copies is not the same"),
        ({"user": "joe"}, 'user is "", and was "joe"'),
        ({"env_A": "1"}, 'env.A was "1", and is not there'),
        ({"user": None}, 'user is "", and was not there'),
        ({"user": "x" * 61}, f'user is "", and was "{"x" * 60}..."'),
        ({"user": "a\nb\udcff"}, 'user is "", and was "a\\nb?"'),
        ({"user": "joe", "parent": "q"}, 'what it builds on is not the same; user is "", and was "joe"'),
        ({}, "the result is gone"),
        ({"op": "copy"}, "no such step was carried out before"),
    ],
)
def test_what_differs(known: Mapping[str, str | None], reason: str) -> None:
    assert explain(RUN, [record(**known)]) == reason  # type: ignore[arg-type]


def test_the_most_similar_is_compared() -> None:
    far, near = record(9, user="joe", parent="q"), record(1, user="jim")
    assert explain(RUN, [far, near]) == 'user is "", and was "jim"'
    same_step = record(0, parent="q")
    assert explain(RUN, [near, same_step]) == "what it builds on is not the same"
    assert explain(RUN, [record(1, user="a"), record(2, user="b")]) == 'user is "", and was "b"'
    assert explain(RUN, []) == "no such step was carried out before"


def test_records_are_loaded_once_and_only_for_a_miss() -> None:
    loaded: list[int] = []

    def load() -> list[Record]:
        loaded.append(1)
        return [record(parent="q")]

    explainer = Explainer(load)
    assert loaded == []
    assert explainer.explain(RUN) == explainer.explain(RUN) == "what it builds on is not the same"
    assert loaded == [1]
