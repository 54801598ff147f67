"""The order in which the nodes of a graph are evaluated."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from imagewright.cancellation import Cancellation

__all__ = ["Node", "Work", "solve"]


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
    it does not depend on timing. Raises `Cancelled` once `cancellation` is cancelled and every running node has ended.
    """
    raise NotImplementedError
