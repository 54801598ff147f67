import threading

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled


def test_check_passes_until_cancelled() -> None:
    cancellation = Cancellation()
    cancellation.check()
    cancellation.cancel()
    with pytest.raises(Cancelled, match=r"^Build cancelled$"):
        cancellation.check()


def test_cancelled_says_whether() -> None:
    cancellation = Cancellation()
    before = cancellation.cancelled
    cancellation.cancel()
    assert (before, cancellation.cancelled) == (False, True)


def test_callbacks_run_once_in_the_order_of_registration() -> None:
    cancellation, calls = Cancellation(), list[str]()
    cancellation.on_cancel(lambda: calls.append("first"))
    cancellation.on_cancel(lambda: calls.append("second"))
    cancellation.cancel()
    cancellation.cancel()
    assert calls == ["first", "second"]


def test_callback_after_the_fact_runs_at_once() -> None:
    cancellation, calls = Cancellation(), list[str]()
    cancellation.cancel()
    take_back = cancellation.on_cancel(lambda: calls.append("late"))
    assert calls == ["late"]
    take_back()


def test_callback_taken_back_is_not_called() -> None:
    cancellation, calls = Cancellation(), list[str]()
    take_back = cancellation.on_cancel(lambda: calls.append("gone"))
    cancellation.on_cancel(lambda: calls.append("stays"))
    take_back()
    take_back()
    cancellation.cancel()
    assert calls == ["stays"]


def test_callback_that_raises_does_not_keep_the_others_from_running() -> None:
    cancellation, calls = Cancellation(), list[str]()

    def fail() -> None:
        raise OSError

    cancellation.on_cancel(fail)
    cancellation.on_cancel(lambda: calls.append("ran"))
    with pytest.raises(OSError):  # noqa: PT011 - the very object is what matters
        cancellation.cancel()
    assert calls == ["ran"]
    assert cancellation.cancelled


def test_callback_may_use_the_token() -> None:
    cancellation, seen = Cancellation(), list[bool]()

    def register_again() -> None:
        seen.append(cancellation.cancelled)
        cancellation.on_cancel(lambda: seen.append(cancellation.cancelled))

    cancellation.on_cancel(register_again)
    cancellation.cancel()
    assert seen == [True, True]


def test_wait_ends_when_another_thread_cancels() -> None:
    cancellation = Cancellation()
    assert not cancellation.wait(0)
    thread = threading.Thread(target=cancellation.cancel)
    thread.start()
    assert cancellation.wait(10)
    thread.join()
