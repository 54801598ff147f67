import threading
from collections.abc import Callable

import pytest

from imagewright.build.flights import Flights
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled
from imagewright.events import CacheHit, Event
from imagewright.oci import Digest

KEY, OTHER = Digest.of(b"a step"), Digest.of(b"another")
TIMEOUT = 10


def waiting(flights: Flights, cancellation: Cancellation, then: Callable[[], None]) -> threading.Thread:
    """Start a thread that waits for its turn at `KEY`, and calls `then`; return it once it waits."""
    begun = threading.Event()

    class Noticed(Cancellation):
        def check(self) -> None:
            begun.set()
            cancellation.check()

    noticed = Noticed()
    cancellation.on_cancel(noticed.cancel)

    def wait() -> None:
        with flights.turn(KEY, noticed):
            then()

    thread = threading.Thread(target=wait)
    thread.start()
    assert begun.wait(TIMEOUT)
    return thread


def test_one_at_a_time_and_then_the_next() -> None:
    flights, inside, most, count = Flights(), 0, 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most, count
        for _ in range(50):
            with flights.turn(KEY, Cancellation()):
                with lock:
                    inside += 1
                    most = max(most, inside)
                count += 1
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert (most, count) == (1, 400)


def test_different_steps_do_not_wait() -> None:
    flights = Flights()
    with flights.turn(KEY, Cancellation()), flights.turn(OTHER, Cancellation()):
        pass


def test_the_next_takes_over_after_a_failure() -> None:
    flights, went = Flights(), threading.Event()
    threads: list[threading.Thread] = []

    def fail() -> None:
        with flights.turn(KEY, Cancellation()):
            threads.append(waiting(flights, Cancellation(), went.set))
            assert not went.is_set()
            raise RuntimeError("failed")

    with pytest.raises(RuntimeError, match="failed"):
        fail()
    (thread,) = threads
    thread.join(TIMEOUT)
    assert went.is_set()


def test_whoever_waits_can_be_cancelled() -> None:
    flights, cancellation, went = Flights(), Cancellation(), threading.Event()
    with flights.turn(KEY, Cancellation()):
        failures: list[type[BaseException]] = []
        hook, threading.excepthook = threading.excepthook, lambda args: failures.append(args.exc_type)
        try:
            thread = waiting(flights, cancellation, went.set)
            cancellation.cancel()
            thread.join(TIMEOUT)
        finally:
            threading.excepthook = hook
        assert (failures, went.is_set(), thread.is_alive()) == ([Cancelled], False, False)
    with flights.turn(KEY, Cancellation()):
        pass


def test_a_cancelled_build_begins_nothing_that_another_does() -> None:
    flights, cancellation = Flights(), Cancellation()
    cancellation.cancel()
    with flights.turn(KEY, Cancellation()), pytest.raises(Cancelled), flights.turn(KEY, cancellation):
        pass


def test_nobody_waits_for_one_whose_client_does_not_read() -> None:
    now = 0.0
    flights, went = Flights(patience=5, clock=lambda: now), threading.Event()
    blocked = threading.Event()
    told: list[Event] = []

    def report(event: Event) -> None:
        nonlocal now
        told.append(event)
        thread = waiting(flights, Cancellation(), went.set)
        now = 5.0
        assert not went.is_set()
        now = 5.1
        thread.join(TIMEOUT)
        blocked.set()

    with flights.turn(KEY, Cancellation()) as turn:
        turn.telling(report)(CacheHit())
        assert blocked.is_set()
        assert went.is_set()
        now = 100.0
        assert not turn.stuck(5)
    assert told == [CacheHit()]
    with flights.turn(KEY, Cancellation()):
        pass
