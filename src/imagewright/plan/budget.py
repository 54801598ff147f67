"""A limit on how large a plan may become: a few lines of a Dockerfile can multiply into a great deal of text."""

from imagewright.errors import InvalidInput
from imagewright.plan.configuration import size_of
from imagewright.plan.ops import AddFiles, CopyFiles, Remote
from imagewright.plan.translation import StageState, Translation

__all__ = ["MOST_ENTRIES", "MOST_NODES", "MOST_TEXT", "Budget"]

# Every node has a configuration of its own, so variables times instructions is what counts: 100 of one and 1000 of the
# other are a hundred thousand.
MOST_ENTRIES = 2_000_000
# Characters that are the plan's own: texts of the history, and what COPY is told.
MOST_TEXT = 32 << 20
# Triggers count for each stage that has them, and so may be more than the file has instructions.
MOST_NODES = 20_000


class Budget:
    """Counts what the nodes of one plan hold."""

    def __init__(self) -> None:
        self._entries = 0
        self._text = 0
        self._nodes = 0

    def spend(self, translation: Translation, state: StageState) -> None:
        """Count one node; raise `InvalidInput` once the plan is too large."""
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise InvalidInput(f"there are more than {MOST_NODES} instructions once triggers are counted")
        self._entries += size_of(state.config) + len(state.scope)
        self._text += len(translation.created_by)
        op = translation.op
        if isinstance(op, CopyFiles | AddFiles):
            sources = (source.address if isinstance(source, Remote) else source for source in op.sources)
            texts = (op.chown, *sources, *(document.content for document in op.documents))
            self._text += sum(map(len, texts))
        if self._entries > MOST_ENTRIES or self._text > MOST_TEXT:
            raise InvalidInput("the Dockerfile is too large once its variables are expanded")
