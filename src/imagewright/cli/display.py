"""What a build shows while it runs: the role, its plain form, and what feeds it."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Protocol

from imagewright.errors import ImagewrightError, RunFailed
from imagewright.events import (
    BuildWarning,
    Built,
    CacheHit,
    CacheMiss,
    ContainerRemoved,
    ContainerStarted,
    Event,
    Output,
    Squashed,
    StageFinished,
    Status,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
)

__all__ = ["Display", "MessageFeed", "PlainDisplay", "message_error", "show_event"]


class Display(Protocol):
    """Shows a build; calls come in the order of the build's steps, from one thread at a time."""

    def step(self, number: int, total: int, text: str) -> None:
        """Step `number` of `total` begins."""

    def cached(self) -> None:
        """The step's result comes from the cache."""

    def output(self, data: bytes) -> None:
        """The step printed something: a piece may hold several lines or part of one."""

    def step_done(self, image: str) -> None:
        """The step is done; `image` is a short id, empty where there is none."""

    def detail(self, text: str) -> None:
        """Say something for those who want to know all."""

    def note(self, text: str) -> None:
        """Say something that everybody should see."""


class PlainDisplay:
    """Lines as the docker program prints them, for pipes and logs."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._at_line_start = True

    def _write(self, data: bytes) -> None:
        if data:
            self._out.write(data)
            self._out.flush()
            self._at_line_start = data.endswith(b"\n")

    def _line(self, text: str) -> None:
        self._write((b"" if self._at_line_start else b"\n") + text.encode(errors="replace") + b"\n")

    def step(self, number: int, total: int, text: str) -> None:
        """Print `Step 1/2 : FROM scratch`."""
        self._line(f"Step {number}/{total} : {text}")

    def cached(self) -> None:
        """Print that the cache was used."""
        self._line(" ---> Using cache")

    def output(self, data: bytes) -> None:
        """Pass on what the step printed, as it is."""
        self._write(data)

    def step_done(self, image: str) -> None:
        """Print the id of the step's result."""
        self._line(f" ---> {image}")

    def detail(self, text: str) -> None:
        """Print `text`."""
        self._line(text)

    def note(self, text: str) -> None:
        """Print `text`."""
        self._line(text)


def show_event(display: Display, event: Event) -> None:
    """Show an event of an engine in this process."""
    match event:
        case StepStarted(number, total, text):
            display.step(number, total, text)
        case CacheHit():
            display.cached()
        case CacheMiss() | TriggersStarted() | ContainerStarted() | ContainerRemoved():
            display.detail(_detail(event))
        case Output(_, data):
            display.output(data)
        case StepFinished(image):
            display.step_done(image.short if image else "")
        case StageFinished() | Squashed() | Status(total=int()):
            pass
        case Built(image):
            display.note(f"Successfully built {image.short}")
        case Tagged(name):
            display.note(f"Successfully tagged {name}")
        case BuildWarning(message):
            display.note(message.rstrip("\n"))
        case Status(message, subject):
            display.detail(f"{subject}: {message}" if subject else message)


def _detail(event: CacheMiss | TriggersStarted | ContainerStarted | ContainerRemoved) -> str:
    match event:
        case CacheMiss(reason):
            return f" ---> Not in the cache: {reason}"
        case TriggersStarted(count):
            return f"# Executing {count} build trigger{'s' if count > 1 else ''}"
        case ContainerStarted(container):
            return f" ---> Running in {container[:12]}"
        case ContainerRemoved(container):
            return f"Removing intermediate container {container[:12]}"


# What the stream of the classic builder says, and which call shows it; anything else is output of the step.
_STREAM: tuple[tuple[re.Pattern[str], Callable[[Display, re.Match[str]], None]], ...] = (
    (re.compile(r"Step (\d+)/(\d+) : (.*)", re.DOTALL), lambda to, m: to.step(int(m[1]), int(m[2]), m[3])),
    (re.compile(r" ---> Using cache"), lambda to, _: to.cached()),
    (re.compile(r" ---> ([0-9a-f]{12})?"), lambda to, m: to.step_done(m[1] or "")),
    (re.compile(r" ---> Not in the cache: .*", re.DOTALL), lambda to, m: to.detail(m[0])),
    (re.compile(r" ---> Running in [0-9a-f]{12}"), lambda to, m: to.detail(m[0])),
    (re.compile(r"Removing intermediate container [0-9a-f]{12}"), lambda to, m: to.detail(m[0])),
    (re.compile(r"# Executing \d+ build trigger"), lambda to, m: to.detail(m[0])),
    (re.compile(r"Successfully (?:built|tagged) \S+"), lambda to, m: to.note(m[0])),
    (re.compile(r"(?: ---> )?\[Warning\] .*"), lambda to, m: to.note(m[0])),
    # About the text of the Dockerfile: in red, and in several lines.
    (re.compile(r"\x1b\[91m(\[WARNING\]: .*?)\n?\x1b\[0m", re.DOTALL), lambda to, m: to.note(m[1])),
)


class MessageFeed:
    """Shows the JSON messages of the Engine API's build stream, one after the other."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._line_open = False

    def show(self, message: Mapping[str, Any]) -> str | None:
        """Show a message; return the image id in it, if there is one.

        Raises `RunFailed` or `ImagewrightError` for the message that ends a failed build.
        """
        if "errorDetail" in message or "error" in message:
            raise message_error(message)
        if "stream" in message:
            self._show_text(str(message["stream"]))
        elif "status" in message and not message.get("progress"):
            subject = f"{message['id']}: " if message.get("id") else ""
            self._display.detail(f"{subject}{message['status']}")
        aux = message.get("aux")
        return aux.get("ID") if isinstance(aux, Mapping) else None

    def _show_text(self, text: str) -> None:
        # The engine ends the line of a step, and of build triggers with their plural, in messages of their own.
        if self._line_open and text in {"s", "\n"}:
            self._line_open = text == "s"
            return
        line = text.removesuffix("\n")
        self._line_open = line == text
        for pattern, show in _STREAM:
            match = pattern.fullmatch(line)
            if match:
                show(self._display, match)
                return
        self._line_open = False
        self._display.output(text.encode())


def message_error(message: Mapping[str, Any]) -> ImagewrightError:
    """Return the error that a message of the engine tells of."""
    detail = message.get("errorDetail")
    text = str(message.get("error") or (detail.get("message") if isinstance(detail, Mapping) else json.dumps(message)))
    code = detail.get("code") if isinstance(detail, Mapping) else None
    return RunFailed(text, exit_code=code) if isinstance(code, int) and code else ImagewrightError(text)
