import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, RunFailed
from imagewright.solve import solve

SECONDS = 10  # nothing here takes long; a test that hangs fails by this


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    inputs: tuple[int, ...] = ()


Action = Callable[[Cancellation], None]


def nothing(_: Cancellation) -> None:
    pass


class Bench:
    """Work whose value is the name and the inputs' values, with an action to carry out for some names."""

    def __init__(self, actions: dict[str, Action] | None = None, known: dict[str, str] | None = None) -> None:
        self.actions = actions or {}
        self.known = known or {}
        self.begun: list[str] = []
        self.lock = threading.Lock()
        self.now = 0
        self.most = 0

    def recall(self, node: Job, inputs: Sequence[str]) -> str | None:
        del inputs
        action = self.actions.get(f"recall {node.name}")
        if action is not None:
            action(Cancellation())
        return self.known.get(node.name)

    def perform(self, node: Job, inputs: Sequence[str], cancellation: Cancellation) -> str:
        with self.lock:
            self.begun.append(node.name)
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            self.actions.get(node.name, nothing)(cancellation)
        finally:
            with self.lock:
                self.now -= 1
        return f"{node.name}({','.join(inputs)})"


def run(
    nodes: Sequence[Job], bench: Bench | None = None, workers: int = 2, cancellation: Cancellation | None = None
) -> list[str]:
    return solve(nodes, bench or Bench(), workers=workers, cancellation=cancellation or Cancellation())


def fail(name: str) -> Action:
    def action(_: Cancellation) -> None:
        raise RunFailed(name, exit_code=1)

    return action


def wait_for(event: threading.Event) -> Action:
    def action(_: Cancellation) -> None:
        assert event.wait(SECONDS)

    return action


def until_cancelled(cancellation: Cancellation) -> None:
    assert cancellation.wait(SECONDS)
    cancellation.check()


def test_nothing_to_do() -> None:
    assert run([]) == []


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_diamond_gets_its_inputs_in_order(workers: int) -> None:
    nodes = [Job("a"), Job("b", (0,)), Job("c", (0,)), Job("d", (2, 1))]
    assert run(nodes, workers=workers) == ["a()", "b(a())", "c(a())", "d(c(a()),b(a()))"]


def test_one_input_may_be_wanted_twice() -> None:
    assert run([Job("a"), Job("b", (0, 0))])[1] == "b(a(),a())"


def test_one_worker_goes_in_source_order() -> None:
    bench = Bench()
    nodes = [Job("a"), Job("b", (0,)), Job("x"), Job("y", (2,)), Job("c", (1, 3))]
    run(nodes, bench, workers=1)
    assert bench.begun == ["a", "b", "x", "y", "c"]


def test_what_is_recalled_is_not_performed() -> None:
    bench = Bench(known={"a": "old"})
    assert run([Job("a"), Job("b", (0,))], bench) == ["old", "b(old)"]
    assert bench.begun == ["b"]


def test_independent_nodes_run_side_by_side_and_no_more_than_there_are_workers() -> None:
    barrier = threading.Barrier(3)

    def meet(_: Cancellation) -> None:
        barrier.wait(SECONDS)

    bench = Bench(dict.fromkeys("abcdef", meet))
    run([Job(name) for name in "abcdef"], bench, workers=3)
    assert bench.most == 3


def test_the_earliest_that_is_ready_begins_first() -> None:
    bench = Bench()
    # When a ends, b becomes ready; it comes before x, which has been ready all the time.
    run([Job("a"), Job("b", (0,)), Job("x")], bench, workers=1)
    assert bench.begun == ["a", "b", "x"]


def test_a_failure_stops_what_comes_after_it() -> None:
    bench = Bench({"b": fail("b")})
    with pytest.raises(RunFailed, match="b"):
        run([Job("a"), Job("b", (0,)), Job("c", (1,)), Job("d", (0,))], bench, workers=1)
    assert bench.begun == ["a", "b"]


def test_nodes_before_a_failure_still_run_to_their_end() -> None:
    failed = threading.Event()

    def fail_at_once(cancellation: Cancellation) -> None:
        failed.set()
        fail("x")(cancellation)

    bench = Bench({"a": wait_for(failed), "x": fail_at_once})
    with pytest.raises(RunFailed, match="x"):
        run([Job("a"), Job("b", (0,)), Job("x"), Job("c", (1,))], bench)
    assert sorted(bench.begun) == ["a", "b", "x"]


def test_the_earliest_error_wins_whenever_it_comes() -> None:
    failed = threading.Event()

    def fail_late(cancellation: Cancellation) -> None:
        wait_for(failed)(cancellation)
        fail("a")(cancellation)

    def fail_at_once(cancellation: Cancellation) -> None:
        failed.set()
        fail("x")(cancellation)

    with pytest.raises(RunFailed, match="a"):
        run([Job("a"), Job("x")], Bench({"a": fail_late, "x": fail_at_once}))


def test_a_later_error_that_comes_late_is_not_told() -> None:
    begun = threading.Event()

    def fail_when_cancelled(cancellation: Cancellation) -> None:
        begun.set()
        assert cancellation.wait(SECONDS)
        fail("x")(cancellation)

    def fail_after(cancellation: Cancellation) -> None:
        wait_for(begun)(cancellation)
        fail("a")(cancellation)

    with pytest.raises(RunFailed, match="a"):
        run([Job("a"), Job("x")], Bench({"a": fail_after, "x": fail_when_cancelled}))


def test_a_failure_cancels_later_nodes_that_run_and_not_earlier_ones() -> None:
    begun = threading.Barrier(3)
    done = threading.Event()
    seen: list[bool] = []

    def early(cancellation: Cancellation) -> None:
        begun.wait(SECONDS)
        assert done.wait(SECONDS)
        seen.append(cancellation.cancelled)

    def late(cancellation: Cancellation) -> None:
        begun.wait(SECONDS)
        try:
            until_cancelled(cancellation)
        finally:
            done.set()

    def middle(cancellation: Cancellation) -> None:
        begun.wait(SECONDS)
        fail("middle")(cancellation)

    outer = Cancellation()
    with pytest.raises(RunFailed, match="middle"):
        run(
            [Job("early"), Job("middle"), Job("late")],
            Bench({"early": early, "middle": middle, "late": late}),
            workers=3,
            cancellation=outer,
        )
    assert seen == [False]
    assert not outer.cancelled


def test_a_node_cancelled_while_it_recalls_is_not_performed() -> None:
    recalling = threading.Event()
    failed = threading.Event()

    def fail_meanwhile(cancellation: Cancellation) -> None:
        wait_for(recalling)(cancellation)
        fail("a")(cancellation)

    def recall(_: Cancellation) -> None:
        recalling.set()
        assert failed.wait(SECONDS)

    def watch(nodes: list[Job], bench: Bench, outer: Cancellation) -> None:
        with pytest.raises(Cancelled):
            run(nodes, bench, cancellation=outer)

    outer = Cancellation()
    bench = Bench({"recall x": recall})
    thread = threading.Thread(target=watch, args=([Job("x")], bench, outer))
    thread.start()
    assert recalling.wait(SECONDS)
    outer.cancel()
    failed.set()
    thread.join(SECONDS)
    assert not thread.is_alive()
    assert bench.begun == []


def test_cancelled_before_it_begins() -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    bench = Bench()
    with pytest.raises(Cancelled, match="Build cancelled"):
        run([Job("a")], bench, cancellation=cancellation)
    assert bench.begun == []


def test_cancelling_reaches_every_node_that_runs_and_begins_no_more() -> None:
    cancellation = Cancellation()
    barrier = threading.Barrier(3)

    def work(own: Cancellation) -> None:
        barrier.wait(SECONDS)
        until_cancelled(own)

    bench = Bench({"a": work, "b": work})
    outcome: list[str] = []

    def watch() -> None:
        try:
            run([Job("a"), Job("b"), Job("c", (0,))], bench, cancellation=cancellation)
        except Cancelled as error:
            outcome.append(str(error))

    thread = threading.Thread(target=watch)
    thread.start()
    barrier.wait(SECONDS)
    cancellation.cancel()
    thread.join(SECONDS)
    assert outcome == ["Build cancelled"]
    assert sorted(bench.begun) == ["a", "b"]


def test_cancellation_goes_before_the_errors_it_causes() -> None:
    cancellation = Cancellation()

    def cancel_and_fail(own: Cancellation) -> None:
        cancellation.cancel()
        fail("killed")(own)

    with pytest.raises(Cancelled):
        run([Job("a"), Job("b")], Bench({"a": cancel_and_fail}), workers=1, cancellation=cancellation)


def test_cancelled_too_late_changes_nothing() -> None:
    cancellation = Cancellation()
    bench = Bench({"a": lambda _: cancellation.cancel()})
    assert run([Job("a")], bench, cancellation=cancellation) == ["a()"]


def test_nothing_stays_registered_with_the_callers_cancellation() -> None:
    cancellation = Cancellation()
    run([Job("a"), Job("b", (0,))], cancellation=cancellation)
    assert cancellation._callbacks == {}


def test_any_exception_of_the_work_comes_out() -> None:
    def broken(_: Cancellation) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run([Job("a")], Bench({"recall a": broken}))


def test_an_interrupted_caller_cancels_what_runs() -> None:
    main = threading.get_ident()
    seen: list[bool] = []

    def interrupt(cancellation: Cancellation) -> None:
        # By then the caller waits: an interrupt in the middle of the pool's own locking is not what is asked here.
        cancellation.wait(0.2)
        signal.pthread_kill(main, signal.SIGINT)
        seen.append(cancellation.wait(SECONDS))

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whoever started the tests may have blocked it.
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        with pytest.raises(KeyboardInterrupt):
            # The first job is there so that the worker's thread exists: no interrupt while it starts is meant here.
            run([Job("first"), Job("a")], Bench({"a": interrupt}), workers=1)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    assert seen == [True]


@pytest.mark.parametrize("inputs", [(0,), (1,), (-1,)])
def test_an_input_must_come_before(inputs: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="not before it"):
        run([Job("a", inputs)])


def test_a_solver_needs_a_worker() -> None:
    with pytest.raises(ValueError, match="worker"):
        run([Job("a")], workers=0)


class Growing:
    """Gives nodes batch by batch, and does something before some of them."""

    def __init__(self, *batches: Sequence[Job], actions: dict[int, Action] | None = None) -> None:
        self.batches = list(batches)
        self.actions = actions or {}
        self.calls = 0

    def __call__(self, cancellation: Cancellation) -> Sequence[Job]:
        self.calls += 1
        self.actions.get(self.calls - 1, nothing)(cancellation)
        return self.batches.pop(0) if self.batches else ()


def grow(growing: Growing, bench: Bench, *, workers: int = 1, cancellation: Cancellation | None = None) -> list[str]:
    return solve([Job("a")], bench, workers=workers, cancellation=cancellation or Cancellation(), more=growing)


@pytest.mark.parametrize("workers", [1, 3])
def test_more_nodes_may_come_at_any_time(workers: int) -> None:
    growing = Growing([Job("b", (0,)), Job("c")], [Job("d", (1, 2, 0))])
    assert grow(growing, Bench(), workers=workers) == ["a()", "b(a())", "c()", "d(b(a()),c(),a())"]
    assert growing.calls == 3


def test_what_is_known_runs_while_more_is_awaited() -> None:
    ran = threading.Event()
    growing = Growing([Job("b")], actions={0: wait_for(ran)})
    assert grow(growing, Bench({"a": lambda _: ran.set()})) == ["a()", "b()"]


def test_more_is_awaited_while_the_workers_are_busy() -> None:
    grown = threading.Event()
    growing = Growing([Job("b")], actions={1: lambda _: grown.set()})
    assert grow(growing, Bench({"a": wait_for(grown)})) == ["a()", "b()"]


def test_a_failure_ends_the_wait_for_more() -> None:
    waiting = threading.Event()

    def wait(cancellation: Cancellation) -> None:
        waiting.set()
        until_cancelled(cancellation)

    def fail_then(cancellation: Cancellation) -> None:
        wait_for(waiting)(cancellation)
        fail("a")(cancellation)

    growing = Growing([Job("b")], actions={0: wait})
    with pytest.raises(RunFailed, match="a"):
        grow(growing, Bench({"a": fail_then}))
    assert growing.calls == 1


def test_an_error_of_more_comes_after_all_that_is_known() -> None:
    failed = threading.Event()

    def fail_and_tell(cancellation: Cancellation) -> None:
        failed.set()
        fail("more")(cancellation)

    bench = Bench({"a": wait_for(failed)})
    with pytest.raises(RunFailed, match="more"):
        grow(Growing([Job("b", (0,))], actions={1: fail_and_tell}), bench)
    assert bench.begun == ["a", "b"]


def test_cancelled_while_more_is_awaited() -> None:
    cancellation = Cancellation()

    def cancel(own: Cancellation) -> None:
        cancellation.cancel()
        until_cancelled(own)

    with pytest.raises(Cancelled):
        grow(Growing([Job("b")], actions={0: cancel}), Bench(), cancellation=cancellation)
    assert cancellation._callbacks == {}


def test_no_thread_stays() -> None:
    before = threading.active_count()
    run([Job(str(number)) for number in range(20)], workers=4)
    assert threading.active_count() == before
