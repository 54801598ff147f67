"""The order in which the nodes of a graph are evaluated."""

import heapq
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, cast

from imagewright.cancellation import Cancellation

__all__ = ["Node", "Work", "solve"]


# A signal that comes just before the main thread goes to sleep does not wake it: it looks up this often.
_WAKE_SECONDS = 1.0
# Stands for the index of nodes that are not known yet.
_LAST = sys.maxsize


class Node(Protocol):
    """A node of a graph: it needs the values of its inputs, which are indices of earlier nodes."""

    @property
    def inputs(self) -> tuple[int, ...]:
        """The indices of the nodes whose values this one needs, in the order in which the work wants them."""


NodeT = TypeVar("NodeT", bound=Node)
NodeT_contra = TypeVar("NodeT_contra", bound=Node, contravariant=True)
Value = TypeVar("Value")


class Work(Protocol[NodeT_contra, Value]):
    """What is done with a node. Both methods are called from threads of the solver, for different nodes at once."""

    def recall(self, node: NodeT_contra, inputs: Sequence[Value]) -> Value | None:
        """Return the value that `node` is known to have, None where it has to be worked out."""

    def perform(self, node: NodeT_contra, inputs: Sequence[Value], cancellation: Cancellation) -> Value:
        """Work out the value of `node`; raise `Cancelled` soon after `cancellation` is cancelled.

        `cancellation` is this node's own: it is cancelled when the caller of `solve` gives up, and also when a node
        earlier in the source has failed, so that nobody waits for work whose result cannot be used.
        """


More = Callable[[Cancellation], Sequence[NodeT]]
"""Returns the nodes that come next, none at the end; raises `Cancelled` soon after it is no longer wanted."""


def solve(
    nodes: Sequence[NodeT],
    work: Work[NodeT, Value],
    *,
    workers: int,
    cancellation: Cancellation,
    more: More[NodeT] | None = None,
) -> list[Value]:
    """Return the value of every node, in their order; at most `workers` nodes are evaluated at one time.

    `more` tells of nodes that are not known yet: it is called again and again, in a thread of its own beside the
    workers, until there are no more or one has failed. An error of it is that of a node after all that are known.

    Nodes whose inputs are there run side by side, the earliest first. When one fails, those before it still run to
    their end, those after it are cancelled or never begun, and the error of the earliest node that failed is raised:
    it does not depend on timing. Raises `Cancelled` once `cancellation` is cancelled and every running node has ended,
    unless all were done by then. Every thread has ended when this returns or raises.
    """
    if workers < 1:
        raise ValueError("a solver needs a worker")
    with ThreadPoolExecutor(workers + (more is not None), thread_name_prefix="solve") as pool:
        evaluation = _Evaluation(work, pool, cancellation, more)
        try:
            evaluation.add(nodes)
            evaluation.run(workers)
        finally:
            evaluation.abandon()
    return evaluation.result()


@dataclass(frozen=True, slots=True)
class _Running:
    """A node on its way, how to stop it, and how to untie it from the cancellation of all; so are more nodes."""

    index: int
    cancellation: Cancellation
    untie: Callable[[], None]


class _Evaluation(Generic[NodeT, Value]):
    """One evaluation of a graph. All of it but `_evaluate` runs in the thread that called `solve`."""

    def __init__(
        self, work: Work[NodeT, Value], pool: Executor, cancellation: Cancellation, more: More[NodeT] | None
    ) -> None:
        self._work = work
        self._pool = pool
        self._more = more
        self._nodes: list[NodeT] = []
        self._missing: list[int] = []
        self._users: list[list[int]] = []
        self._ready: list[int] = []
        self._values: dict[int, Value] = {}
        self._running: dict[Future[Value], _Running] = {}
        self._growing: dict[Future[Sequence[NodeT]], _Running] = {}
        self._failure: tuple[int, BaseException] | None = None
        self._caller = cancellation
        # Every node's own is tied to this one before it begins: an interrupt at any point misses none.
        self._cancellation = Cancellation()
        self._untie = cancellation.on_cancel(self._cancellation.cancel)

    def add(self, nodes: Sequence[NodeT]) -> None:
        """Take in the nodes that come next."""
        for index, node in enumerate(nodes, len(self._nodes)):
            inputs = set(node.inputs)
            self._nodes.append(node)
            self._users.append([])
            for needed in inputs:
                if not 0 <= needed < index:
                    raise ValueError(f"node {index} needs node {needed}, which is not before it")
                self._users[needed].append(index)
            self._missing.append(sum(needed not in self._values for needed in inputs))
            if not self._missing[index]:
                heapq.heappush(self._ready, index)

    def run(self, workers: int) -> None:
        """Evaluate until nothing runs and nothing more may begin.

        A node is handed to the pool only when a thread is free for it, so that the earliest of those that are ready
        at that moment is the one that begins.
        """
        while True:
            while len(self._running) < workers and self._may_begin():
                self._begin(heapq.heappop(self._ready))
            if self._more is not None and not self._growing and self._failure is None and not self._caller.cancelled:
                self._grow(self._more)
            if not self._running and not self._growing:
                return
            under_way: list[Future[Any]] = [*self._running, *self._growing]
            ended, _ = wait(under_way, _WAKE_SECONDS, FIRST_COMPLETED)
            for future in ended:
                if future in self._growing:
                    self._take_in(future)
                else:
                    self._settle(future)

    def abandon(self) -> None:
        """Cancel whatever runs (nothing does, unless `run` was interrupted) and let go of the caller's cancellation."""
        self._untie()
        self._cancellation.cancel()

    def result(self) -> list[Value]:
        """Return all values, or raise what there is instead."""
        if self._more is None and len(self._values) == len(self._nodes):
            return [self._values[index] for index in range(len(self._nodes))]
        self._caller.check()
        # Not cancelled and not complete: only a failure stops the evaluation early.
        raise cast("tuple[int, BaseException]", self._failure)[1]

    def _may_begin(self) -> bool:
        if not self._ready or self._caller.cancelled:
            return False
        return self._failure is None or self._ready[0] < self._failure[0]

    def _begin(self, index: int) -> None:
        node = self._nodes[index]
        own = self._new_running(index)
        inputs = [self._values[needed] for needed in node.inputs]
        self._running[self._pool.submit(self._evaluate, node, inputs, own.cancellation)] = own

    def _grow(self, more: More[NodeT]) -> None:
        own = self._new_running(_LAST)
        self._growing[self._pool.submit(more, own.cancellation)] = own

    def _new_running(self, index: int) -> _Running:
        own = Cancellation()
        return _Running(index, own, self._cancellation.on_cancel(own.cancel))

    def _evaluate(self, node: NodeT, inputs: Sequence[Value], cancellation: Cancellation) -> Value:
        value = self._work.recall(node, inputs)
        if value is not None:
            return value
        cancellation.check()
        return self._work.perform(node, inputs, cancellation)

    def _settle(self, future: Future[Value]) -> None:
        ended = self._running.pop(future)
        ended.untie()
        error = future.exception()
        if error is not None:
            self._fail(ended.index, error)
            return
        self._values[ended.index] = future.result()
        for user in self._users[ended.index]:
            self._missing[user] -= 1
            if not self._missing[user]:
                heapq.heappush(self._ready, user)

    def _take_in(self, future: Future[Sequence[NodeT]]) -> None:
        self._growing.pop(future).untie()
        error = future.exception()
        if error is not None:
            self._fail(_LAST, error)
        elif nodes := future.result():
            self.add(nodes)
        else:
            self._more = None

    def _fail(self, index: int, error: BaseException) -> None:
        if self._failure is not None and self._failure[0] < index:
            return
        self._failure = index, error
        for running in (*self._running.values(), *self._growing.values()):
            if running.index > index:
                running.cancellation.cancel()
