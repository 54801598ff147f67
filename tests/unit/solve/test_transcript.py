import io
import tempfile
import threading
from collections.abc import Callable
from typing import IO

import pytest

from imagewright.solve import Transcript


def test_the_first_node_is_told_at_once() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    transcript.reporter(0)("a")
    assert told == ["a"]


def test_later_nodes_are_told_in_their_turn() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    first, second, third = (transcript.reporter(index) for index in range(3))
    third("c1")
    second("b1")
    first("a1")
    third("c2")
    assert told == ["a1"]
    transcript.finish(1)
    assert told == ["a1"]
    transcript.finish(0)
    assert told == ["a1", "b1", "c1", "c2"]
    third("c3")
    assert told[-1] == "c3"


def test_a_node_without_events_is_passed_over() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    transcript.reporter(2)("c")
    transcript.finish(0)
    transcript.finish(1)
    assert told == ["c"]


def test_finishing_twice_changes_nothing() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    transcript.finish(0)
    transcript.finish(0)
    transcript.finish(2)
    transcript.finish(2)
    transcript.reporter(1)("b")
    assert told == ["b"]


def test_events_after_the_end_of_their_node_are_dropped() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    transcript.finish(1)
    transcript.reporter(1)("late")
    transcript.finish(0)
    transcript.reporter(0)("late")
    assert told == []


def test_nothing_after_a_node_that_never_finishes_is_told() -> None:
    told: list[str] = []
    transcript = Transcript(told.append)
    transcript.reporter(1)("b")
    transcript.finish(1)
    transcript.reporter(0)("error")
    transcript.close()
    assert told == ["error"]


def test_close_gives_back_the_files_and_ends_everything() -> None:
    files: list[io.BytesIO] = []
    told: list[str] = []

    def open_file() -> io.BytesIO:
        files.append(io.BytesIO())
        return files[-1]

    transcript = Transcript(told.append, open_file=open_file)
    transcript.reporter(1)("b")
    transcript.close()
    transcript.close()
    transcript.reporter(0)("a")
    transcript.finish(0)
    assert told == []
    assert [file.closed for file in files] == [True]


def test_what_is_held_back_can_live_on_disk() -> None:
    told: list[bytes] = []

    def open_file() -> IO[bytes]:
        return tempfile.SpooledTemporaryFile(max_size=10)

    transcript = Transcript(told.append, open_file=open_file)
    pieces = [bytes([number]) * 1000 for number in range(50)]
    for piece in pieces:
        transcript.reporter(1)(piece)
    transcript.finish(0)
    assert told == pieces


def test_an_error_of_the_listener_reaches_whoever_tells_it() -> None:
    def gone(_: str) -> None:
        raise ConnectionError

    transcript = Transcript(gone)
    with pytest.raises(ConnectionError):
        transcript.reporter(0)("a")
    transcript.reporter(1)("b")
    with pytest.raises(ConnectionError):
        transcript.finish(0)
    transcript.close()


def test_many_threads_come_out_in_order() -> None:
    told: list[tuple[int, int]] = []
    transcript = Transcript(told.append)

    def speak(index: int, report: Callable[[tuple[int, int]], None]) -> None:
        for number in range(100):
            report((index, number))
        transcript.finish(index)

    threads = [threading.Thread(target=speak, args=(index, transcript.reporter(index))) for index in range(8)]
    for thread in reversed(threads):
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [(index, number) for index in range(8) for number in range(100)]
