import pytest
from floors import Floor
from measuring import Series
from profiling import profile
from report import amount, missed, report, table
from rows import ABSOLUTE, Goal, Row, Taken, verdicts


def taken(row: Row, **medians: list[float]) -> Taken:
    return Taken(row, {name: Series(samples) for name, samples in medians.items()}, planned=3, done=3)


def test_a_goal_is_about_the_best_peer() -> None:
    row = Row("copy", "COPY", (Goal(0.15),))
    found = taken(row, imagewright=[1.0, 1.2, 0.9], classic=[20.0], BuildKit=[5.0, 10.0, 9.0])
    (verdict,) = verdicts(found)
    assert verdict.value == pytest.approx(1 / 9)
    assert verdict.holds


def test_a_goal_that_names_a_peer_or_none() -> None:
    row = Row("cached", "cached", (Goal(0.8, "BuildKit"), Goal(0.1, "classic"), Goal(0.2, ABSOLUTE)))
    found = taken(row, imagewright=[0.25], classic=[3.0], BuildKit=[0.3])
    assert [verdict.holds for verdict in verdicts(found)] == [False, True, False]


def test_more_is_better_for_a_rate() -> None:
    row = Row("list", "list", (Goal(100),), unit="/s", more=True)
    assert verdicts(taken(row, imagewright=[5000.0], classic=[41.0]))[0].holds
    assert not verdicts(taken(row, imagewright=[4000.0], classic=[41.0]))[0].holds


def test_a_goal_does_not_hold_without_a_value() -> None:
    row = Row("pull", "pull", (Goal(0.9),))
    assert verdicts(taken(row, classic=[1.0]))[0].value is None
    assert verdicts(taken(row, imagewright=[1.0]))[0].value is None
    assert "not measured" in table([taken(row, imagewright=[1.0])])


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0123, "s", "0.012 s"), (0.5, "s", "0.50 s"), (12.34, "ms", "12.3 ms"), (5835.8, "/s", "5,836/s")],
)
def test_amounts(value: float, unit: str, text: str) -> None:
    assert amount(value, unit) == text


def test_the_table() -> None:
    found = taken(Row("copy", "COPY", (Goal(0.5),)), imagewright=[1.0, 2.0, 1.5], classic=[2.0])
    found.failures["podman"] = "no | space"
    found.floor = Floor("copy + sha256", 0.5)
    assert table([found]).splitlines()[-1] == (
        "| COPY | 1.50 s (1.00–2.00) | 2.00 s | – | failed: no \\| space | 3 | 0.75 × | ≤ 0.5 × | **no**"
        " | 0.50 s, copy + sha256 | 3.0 × |"
    )


def test_a_goal_that_is_missed_has_a_reason_or_none_yet() -> None:
    rows = [
        taken(Row("one", "first", (Goal(0.5),)), imagewright=[1.0], classic=[1.0]),
        taken(Row("two", "second", (Goal(0.2, ABSOLUTE),)), imagewright=[0.3]),
        taken(Row("three", "third", (Goal(0.5),)), imagewright=[0.1], classic=[1.0]),
    ]
    assert missed(rows, {"one": "too little time\n"}).splitlines() == [
        "- **first** (1.00 ×, goal ≤ 0.5 ×): too little time",
        "- **second** (0.30 s, goal ≤ 0.2 s): no reason written",
    ]


def test_what_did_not_go_as_planned_is_told() -> None:
    found = taken(Row("copy", "COPY", (Goal(0.5),)), imagewright=[1.0], classic=[2.0])
    found.done = 1
    found.failures["classic"] = "went away"
    page = report("A machine.", [found], {}, [], ["## More\n\nA section."])
    assert "Time was up before all rounds were taken: copy 1 of 3." in page
    assert "Failed in a later round: classic in copy: went away." in page
    assert page.endswith("## More\n\nA section.\n")


def test_a_profile_leaves_out_who_waits_for_another_thread() -> None:
    lines = [
        {"file": "a/b.py", "function": "f", "text": "digest.update(piece)", "wall": 3.0, "cpu": 2.0},
        {"file": "a/c.py", "function": "g", "text": "os.write(fd, piece)", "wall": 1.0, "cpu": 0.5},
        {"file": "a/d.py", "function": "h", "text": "piece = self._queue.get()", "wall": 9.0, "cpu": 0.0},
    ]
    found = profile("copy", 4.0, lines)
    assert found.shares == (("sha256", 0.75), ("writing files", 0.25))
    assert found.lines == (("a/b: f", 0.75), ("a/c: g", 0.25))
