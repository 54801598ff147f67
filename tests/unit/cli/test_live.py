import io

import pytest
from rich.console import Console

from imagewright.cli.live import LiveDisplay


class Screen:
    """A terminal of 60 columns that keeps what stays on it, and a clock to be set."""

    def __init__(self) -> None:
        self.time = 0.0
        self.file = io.StringIO()
        # Not a terminal to rich: only what is printed for good is written.
        self.console = Console(file=self.file, width=60, force_terminal=False)
        self.display = LiveDisplay(self.console, clock=lambda: self.time)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.file.getvalue().splitlines() if line.strip()]


def shown_now(screen: Screen) -> list[str]:
    console = Console(file=io.StringIO(), width=60, force_terminal=False)
    with console.capture() as capture:
        console.print(screen.display._render())
    return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def test_finished_steps_stay() -> None:
    screen = Screen()
    with screen.display as display:
        display.step(1, 10, "FROM  scratch")
        display.step_done("")
        display.step(2, 10, "RUN make")
        screen.time = 3.14
        display.output(b"lots\n")
        display.detail("Running in abc")
        display.step_done("abc")
        display.step(3, 10, "LABEL a=b")
        display.cached()
        display.step_done("abc")
        display.note("Successfully built abc")
    assert [line.split() for line in screen.lines] == [
        ["✓", "[", "1/10]", "FROM", "scratch", "0.0s"],
        ["✓", "[", "2/10]", "RUN", "make", "3.1s"],
        ["✓", "[", "3/10]", "LABEL", "a=b", "cached"],
        ["Successfully", "built", "abc"],
    ]
    assert len(screen.lines[0]) == 60


def test_step_without_an_end_is_ended_by_the_next() -> None:
    screen = Screen()
    with screen.display as display:
        display.step(1, 2, "ARG A")
        display.step(2, 2, "FROM scratch")
        display.step_done("")
    assert len(screen.lines) == 2


def test_running_step_shows_its_last_lines() -> None:
    screen = Screen()
    with screen.display as display:
        assert shown_now(screen) == []
        display.step(1, 1, "RUN seq 9")
        display.output(b"".join(b"%d\n" % number for number in range(10)) + b"par")
        display.output(b"tial")
        shown = shown_now(screen)
        assert shown[0].split()[1:] == ["[1/1]", "RUN", "seq", "9", "0.0s"]
        assert [line.strip() for line in shown[1:]] == ["5", "6", "7", "8", "9", "partial"]
        display.output(b"\n")
        assert [line.strip() for line in shown_now(screen)[1:]] == ["5", "6", "7", "8", "9", "partial"]
        display.step_done("abc")
        assert shown_now(screen) == []
    assert len(screen.lines) == 1


def test_failed_step_keeps_its_output() -> None:
    screen = Screen()

    def build() -> None:
        with screen.display as display:
            display.step(1, 1, "RUN false")
            display.output(b"first\n\x1b[31mred\x1b[0m\n10%\r20%\r\n\x1b]0;title\x07end [b]")
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the very object is what matters
        build()
    assert screen.lines[0].split() == ["✗", "[1/1]", "RUN", "false", "0.0s"]
    assert [line.strip() for line in screen.lines[1:]] == ["first", "red", "20%", "end [b]"]


def test_error_between_steps_shows_nothing_more() -> None:
    screen = Screen()

    def build() -> None:
        with screen.display:
            raise OSError

    with pytest.raises(OSError):  # noqa: PT011 - the very object is what matters
        build()
    assert screen.lines == []
