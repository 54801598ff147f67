"""What a build shows on a terminal: finished steps as lines, the running one with a clock and its last output."""

import collections
import re
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

__all__ = ["LiveDisplay"]

_SHOWN_LINES = 6
_KEPT_LINES = 1000
_KEPT_PARTIAL = 4096
# Control sequences of a step's output would move the cursor under the display's feet.
_CONTROL = re.compile(
    r"\x1b\[[0-9;:?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)


class LiveDisplay:
    """Shows a build on `console` as it goes; a context manager, which leaves the screen in order.

    Where the block ends with an error, the failed step's output stays on the screen. `clock` counts seconds.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._spinner = Spinner("dots", style="cyan")
        self._title = ""
        self._begun = 0.0
        self._cached = False
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self._partial = ""
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()
        if error is not None and self._title:
            self._console.print(self._line("✗", "red"))
            for line in self._output_lines():
                self._console.print(Text(f"    {line}"), soft_wrap=True)

    def step(self, number: int, total: int, text: str) -> None:
        """Begin a step; one that was not said to be done is, like an ARG before the first FROM."""
        self._finish()
        width = len(str(total))
        self._title = f"[{number:>{width}}/{total}] {' '.join(text.split())}"
        self._begun = self._clock()

    def cached(self) -> None:
        """Remember to say so in the step's line."""
        self._cached = True

    def output(self, data: bytes) -> None:
        """Add to the running step's output."""
        *lines, partial = (self._partial + data.decode(errors="replace")).split("\n")
        self._partial = partial[-_KEPT_PARTIAL:]
        self._lines.extend(map(_clean, lines))

    def step_done(self, image: str) -> None:
        """End the step."""
        del image
        self._finish()

    def detail(self, text: str) -> None:
        """Show nothing: there is little room."""

    def note(self, text: str) -> None:
        """Print a line that stays."""
        self._finish()
        self._live.console.print(Text(_clean(text)), soft_wrap=True)

    def _finish(self) -> None:
        if self._title:
            self._live.console.print(self._line("✓", "green"))
        self._title = self._partial = ""
        self._cached = False
        self._lines.clear()

    def _line(self, mark: str, style: str) -> RenderableType:
        return self._row(Text(mark, style=style))

    def _row(self, mark: RenderableType) -> RenderableType:
        row = Table.grid(padding=(0, 1), expand=True)
        row.add_column(width=1)
        row.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        row.add_column(justify="right", no_wrap=True)
        took = "cached" if self._cached else f"{self._clock() - self._begun:.1f}s"
        row.add_row(mark, Text(_clean(self._title)), Text(took, style="dim"))
        return row

    def _render(self) -> RenderableType:
        if not self._title:
            return Text("")
        last = self._output_lines()[-_SHOWN_LINES:]
        tail = [Text(f"    {line}", style="dim", no_wrap=True, overflow="ellipsis") for line in last]
        return Group(self._row(self._spinner), *tail)

    def _output_lines(self) -> list[str]:
        return [*self._lines, *([_clean(self._partial)] if self._partial else [])]


def _clean(text: str) -> str:
    """Return what stays visible of a line: after the last carriage return, without control sequences."""
    return _CONTROL.sub("", text.rstrip("\r").rpartition("\r")[2]).replace("\t", "    ")
