import threading
import time
from collections.abc import Iterator

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine.happenings import Happening, Happenings

SECOND = 1_000_000_000


class Clock:
    def __init__(self) -> None:
        self.now_ns = 0

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def happenings(clock: Clock) -> Happenings:
    return Happenings(clock)


def tell(happenings: Happenings, clock: Clock, *times: int) -> None:
    for now_ns in times:
        clock.now_ns = now_ns
        happenings.record("image", "tag", f"sha256:{now_ns}", {"name": "x"})


def times(watch: Iterator[Happening]) -> list[int]:
    return [happening.time_ns for happening in watch]


def test_the_past_is_there_for_those_who_ask(happenings: Happenings, clock: Clock) -> None:
    tell(happenings, clock, 1, 2, 3, 4)
    assert times(happenings.watch(since_ns=2, until_ns=3, cancellation=Cancellation())) == [2, 3]
    assert times(happenings.watch(since_ns=None, until_ns=4, cancellation=Cancellation())) == [1, 2, 3, 4]
    [last] = happenings.watch(since_ns=4, until_ns=4, cancellation=Cancellation())
    assert last == Happening(type="image", action="tag", id="sha256:4", attributes={"name": "x"}, time_ns=4)


def test_only_so_much_is_remembered(happenings: Happenings, clock: Clock) -> None:
    tell(happenings, clock, *range(300))
    assert times(happenings.watch(since_ns=0, until_ns=299, cancellation=Cancellation())) == list(range(44, 300))


def test_a_watch_begins_when_it_is_asked_for(happenings: Happenings, clock: Clock) -> None:
    tell(happenings, clock, 1)
    watch = happenings.watch(since_ns=None, until_ns=None, cancellation=Cancellation())
    past = happenings.watch(since_ns=1, until_ns=None, cancellation=Cancellation())
    tell(happenings, clock, 2, 3)
    assert [next(watch).time_ns, next(watch).time_ns] == [2, 3]
    assert [next(past).time_ns, next(past).time_ns, next(past).time_ns] == [1, 2, 3]


def test_a_slow_watcher_loses_the_oldest(happenings: Happenings, clock: Clock) -> None:
    watch = happenings.watch(since_ns=None, until_ns=None, cancellation=Cancellation())
    tell(happenings, clock, *range(2000))
    assert next(watch).time_ns == 2000 - 1024


def test_nothing_after_the_end_is_shown(happenings: Happenings, clock: Clock) -> None:
    watch = happenings.watch(since_ns=None, until_ns=5, cancellation=Cancellation())
    tell(happenings, clock, 4, 6)
    assert times(watch) == [4]


def in_thread(watch: Iterator[Happening]) -> tuple[threading.Thread, list[int]]:
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.extend(times(watch)))
    thread.start()
    return thread, seen


def test_live_watchers_are_woken_and_ended_by_cancellation(happenings: Happenings, clock: Clock) -> None:
    cancellation = Cancellation()
    thread, _ = in_thread(happenings.watch(since_ns=None, until_ns=None, cancellation=cancellation))
    other, others = in_thread(happenings.watch(since_ns=None, until_ns=None, cancellation=Cancellation()))
    tell(happenings, clock, 1, 2)
    cancellation.cancel()
    thread.join(5)
    assert not thread.is_alive()
    assert other.is_alive()
    tell(happenings, clock, 3)
    happenings.close()
    other.join(5)
    assert not other.is_alive()
    assert others == [1, 2, 3]


def test_a_cancelled_watch_is_over(happenings: Happenings, clock: Clock) -> None:
    cancellation = Cancellation()
    tell(happenings, clock, 1)
    watch = happenings.watch(since_ns=0, until_ns=None, cancellation=cancellation)
    cancellation.cancel()
    assert list(watch) == []


def test_a_watch_ends_in_time() -> None:
    happenings = Happenings(time.time_ns)
    watch = happenings.watch(since_ns=None, until_ns=time.time_ns() + SECOND // 20, cancellation=Cancellation())
    assert list(watch) == []


def test_watches_given_up_are_forgotten(happenings: Happenings) -> None:
    for _ in range(3):
        happenings.watch(since_ns=None, until_ns=None, cancellation=Cancellation())
    assert not happenings._watches
