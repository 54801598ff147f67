"""Evaluation of any graph of work: memoised by the work itself, parallel, cancellable, deterministic.

This package knows no images: a node is something with inputs, and a value is whatever the work makes of it.
"""

from imagewright.solve.scheduler import Node, Work, solve
from imagewright.solve.transcript import Transcript

__all__ = ["Node", "Transcript", "Work", "solve"]
