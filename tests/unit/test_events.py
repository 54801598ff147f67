import dataclasses
import typing

import pytest

from imagewright import events
from imagewright.events import CacheHit, Event, Reporter, Status, StepStarted, ignore


def test_event_is_the_union_of_every_event_class() -> None:
    exported = {getattr(events, name) for name in events.__all__}
    classes = {item for item in exported if dataclasses.is_dataclass(item)}
    assert set(typing.get_args(Event)) == classes


@pytest.mark.parametrize("event_class", typing.get_args(Event))
def test_events_are_values(event_class: type) -> None:
    assert event_class.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert not hasattr(event_class, "__dict__") or "__slots__" in vars(event_class)


def test_equal_events_are_equal() -> None:
    assert StepStarted(1, 2, "FROM scratch") == StepStarted(1, 2, "FROM scratch")
    assert CacheHit() == CacheHit()


def test_statuses_do_not_share_their_extra() -> None:
    assert Status("Pulling").extra == {}
    assert Status("Pulling").extra is not Status("Pulling").extra


def test_ignore_is_a_reporter() -> None:
    reporter: Reporter = ignore
    reporter(CacheHit())
