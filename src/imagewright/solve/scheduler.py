"""The order in which the nodes of a graph are evaluated."""

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from imagewright.cancellation import Cancellation

__all__ = ["Node", "Work", "solve"]


# A signal that comes just before the main thread goes to sleep does not wake it: it looks up this often.
_WAKE_SECONDS = 1.0


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


def solve(nodes: Sequence[NodeT], work: Work[NodeT, Value], *, workers: int, cancellation: Cancellation) -> list[Value]:
    """Return the value of every node, in their order; at most `workers` nodes are evaluated at one time.

    Nodes whose inputs are there run side by side, the earliest first. When one fails, those before it still run to
    their end, those after it are cancelled or never begun, and the error of the earliest node that failed is raised:
    it does not depend on timing. Raises `Cancelled` once `cancellation` is cancelled and every running node has ended,
    unless all were done by then. Every thread has ended when this returns or raises.
    """
    if workers < 1:
        raise ValueError("a solver needs a worker")
    with ThreadPoolExecutor(workers, thread_name_prefix="solve") as pool:
        evaluation = _Evaluation(nodes, work, pool, cancellation)
        try:
            evaluation.run(workers)
        finally:
            evaluation.abandon()
    return evaluation.result()


@dataclass(frozen=True, slots=True)
class _Running:
    """A node on its way, how to stop it, and how to untie it from the cancellation of all."""

    index: int
    cancellation: Cancellation
    untie: Callable[[], None]


class _Evaluation(Generic[NodeT, Value]):
    """One evaluation of a graph. All of it but `_evaluate` runs in the thread that called `solve`."""

    def __init__(
        self, nodes: Sequence[NodeT], work: Work[NodeT, Value], pool: Executor, cancellation: Cancellation
    ) -> None:
        self._nodes = nodes
        self._work = work
        self._pool = pool
        self._values: dict[int, Value] = {}
        self._running: dict[Future[Value], _Running] = {}
        self._failure: tuple[int, BaseException] | None = None
        self._missing = [len(set(node.inputs)) for node in nodes]
        self._users: list[list[int]] = [[] for _ in nodes]
        for index, node in enumerate(nodes):
            for needed in set(node.inputs):
                if not 0 <= needed < index:
                    raise ValueError(f"node {index} needs node {needed}, which is not before it")
                self._users[needed].append(index)
        # A heap: a sorted list is one.
        self._ready = [index for index, missing in enumerate(self._missing) if not missing]
        self._caller = cancellation
        # Every node's own is tied to this one before it begins: an interrupt at any point misses none.
        self._cancellation = Cancellation()
        self._untie = cancellation.on_cancel(self._cancellation.cancel)

    def run(self, workers: int) -> None:
        """Evaluate until nothing runs and nothing more may begin.

        A node is handed to the pool only when a thread is free for it, so that the earliest of those that are ready
        at that moment is the one that begins.
        """
        while True:
            while len(self._running) < workers and self._may_begin():
                self._begin(heapq.heappop(self._ready))
            if not self._running:
                return
            ended, _ = wait(self._running, _WAKE_SECONDS, FIRST_COMPLETED)
            for future in ended:
                self._settle(future)

    def abandon(self) -> None:
        """Cancel whatever runs (nothing does, unless `run` was interrupted) and let go of the caller's cancellation."""
        self._untie()
        self._cancellation.cancel()

    def result(self) -> list[Value]:
        """Return all values, or raise what there is instead."""
        if len(self._values) == len(self._nodes):
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
        own = Cancellation()
        untie = self._cancellation.on_cancel(own.cancel)
        future = self._pool.submit(self._evaluate, node, [self._values[needed] for needed in node.inputs], own)
        self._running[future] = _Running(index, own, untie)

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

    def _fail(self, index: int, error: BaseException) -> None:
        if self._failure is not None and self._failure[0] < index:
            return
        self._failure = index, error
        for running in self._running.values():
            if running.index > index:
                running.cancellation.cancel()
