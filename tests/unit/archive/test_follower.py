import threading

import pytest

from imagewright.archive.follower import Follower


def test_works_on_all_pieces_in_order_in_another_thread() -> None:
    seen: list[bytes] = []
    threads = set()

    def work(piece: bytes) -> None:
        seen.append(piece)
        threads.add(threading.current_thread())

    pieces = [b"%d" % n for n in range(100)]
    with Follower(work) as follower:
        for piece in pieces:
            follower.feed(piece)
    assert seen == pieces
    assert threading.current_thread() not in threads


def test_without_pieces_there_is_no_thread() -> None:
    before = threading.active_count()
    with Follower(len) as follower:
        assert threading.active_count() == before
        follower.finish()


def test_what_the_work_raises_comes_out_of_feeding() -> None:
    def fail(_piece: bytes) -> None:
        raise ValueError("no")

    def feed_forever(follower: Follower) -> None:
        while True:
            follower.feed(b"x")

    with pytest.raises(ValueError, match=r"^no$"), Follower(fail) as follower:
        feed_forever(follower)


def test_what_the_work_raises_last_comes_out_of_the_end() -> None:
    def fail(_piece: bytes) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match=r"^no$"), Follower(fail) as follower:
        follower.feed(b"x")


def test_an_error_outside_is_kept() -> None:
    def fail(_piece: bytes) -> None:
        raise ValueError("no")

    def feed_and_fail(follower: Follower) -> None:
        follower.feed(b"x")
        raise KeyError

    with pytest.raises(KeyError), Follower(fail) as follower:
        feed_and_fail(follower)


def test_its_thread_ends() -> None:
    before = threading.active_count()
    with Follower(len) as follower:
        follower.feed(b"x")
    assert threading.active_count() == before
