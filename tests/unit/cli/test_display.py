import io
from dataclasses import dataclass, field
from typing import Any

import pytest

from imagewright.cli.display import Display, MessageFeed, PlainDisplay, show_event
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
    StageFinished,
    Status,
    StepFinished,
    StepStarted,
    Tagged,
    TriggersStarted,
)
from imagewright.oci import Digest

IMAGE = Digest("0123456789abcdef" * 4)
SHORT = IMAGE.short


@dataclass
class Recorder:
    """A display that remembers."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def step(self, number: int, total: int, text: str) -> None:
        self.calls.append(("step", number, total, text))

    def cached(self) -> None:
        self.calls.append(("cached",))

    def output(self, data: bytes) -> None:
        self.calls.append(("output", data))

    def step_done(self, image: str) -> None:
        self.calls.append(("done", image))

    def detail(self, text: str) -> None:
        self.calls.append(("detail", text))

    def note(self, text: str) -> None:
        self.calls.append(("note", text))


# Each event, and what the engine's stream says in its place.
EVENTS: list[tuple[Event, list[str], tuple[Any, ...]]] = [
    (StepStarted(1, 12, "FROM scratch"), ["Step 1/12 : FROM scratch", "\n"], ("step", 1, 12, "FROM scratch")),
    (CacheHit(), [" ---> Using cache\n"], ("cached",)),
    (CacheMiss("so"), [" ---> Not in the cache: so\n"], ("detail", " ---> Not in the cache: so")),
    (TriggersStarted(1), ["# Executing 1 build trigger", "\n"], ("detail", "# Executing 1 build trigger")),
    (ContainerStarted("a" * 64), [f" ---> Running in {'a' * 12}\n"], ("detail", f" ---> Running in {'a' * 12}")),
    (Output("stdout", b"a\nb"), ["a\nb"], ("output", b"a\nb")),
    (Output("stdout", b"\n"), ["\n"], ("output", b"\n")),
    (
        ContainerRemoved("a" * 64),
        [f"Removing intermediate container {'a' * 12}\n"],
        ("detail", f"Removing intermediate container {'a' * 12}"),
    ),
    (StepFinished(IMAGE), [f" ---> {SHORT}\n"], ("done", SHORT)),
    (StepFinished(None), [" ---> \n"], ("done", "")),
    (Built(IMAGE), [f"Successfully built {SHORT}\n"], ("note", f"Successfully built {SHORT}")),
    (Tagged("a/b:1"), ["Successfully tagged a/b:1\n"], ("note", "Successfully tagged a/b:1")),
    (BuildWarning("[Warning] One\n"), ["[Warning] One\n"], ("note", "[Warning] One")),
    (BuildWarning("[WARNING]: a\nb\n"), ["\x1b[91m[WARNING]: a\nb\n\x1b[0m"], ("note", "[WARNING]: a\nb")),
]


@pytest.mark.parametrize(("event", "texts", "call"), EVENTS)
def test_events_and_their_messages_show_the_same(event: Event, texts: list[str], call: tuple[Any, ...]) -> None:
    by_event, by_message = Recorder(), Recorder()
    show_event(by_event, event)
    feed = MessageFeed(by_message)
    for text in texts:
        assert feed.show({"stream": text}) is None
    assert by_event.calls == by_message.calls == [call]


def test_event_that_shows_nothing() -> None:
    recorder = Recorder()
    show_event(recorder, StageFinished(IMAGE))
    assert recorder.calls == []


def test_triggers_in_the_plural() -> None:
    by_event, by_message = Recorder(), Recorder()
    show_event(by_event, TriggersStarted(2))
    feed = MessageFeed(by_message)
    for text in ("# Executing 2 build trigger", "s", "\n", "\n"):
        feed.show({"stream": text})
    assert by_event.calls == [("detail", "# Executing 2 build triggers")]
    assert by_message.calls == [("detail", "# Executing 2 build trigger"), ("output", b"\n")]


def test_statuses() -> None:
    by_event, by_message = Recorder(), Recorder()
    for event in (Status("Pulling", "latest"), Status("Downloading", "a", 1, 2), Status("Digest: x")):
        show_event(by_event, event)
    feed = MessageFeed(by_message)
    for message in (
        {"status": "Pulling", "id": "latest"},
        {"status": "Downloading", "progressDetail": {"current": 1, "total": 2}, "progress": "[=>", "id": "a"},
        {"status": "Digest: x"},
    ):
        feed.show(message)
    assert by_event.calls == by_message.calls == [("detail", "latest: Pulling"), ("detail", "Digest: x")]


def test_image_id_comes_from_aux() -> None:
    feed = MessageFeed(Recorder())
    assert feed.show({"aux": {"ID": str(IMAGE)}}) == str(IMAGE)
    assert feed.show({"aux": "trace"}) is None
    assert feed.show({}) is None


def test_error_with_a_code_is_a_failed_run() -> None:
    with pytest.raises(RunFailed, match="returned a non-zero code: 3") as caught:
        MessageFeed(Recorder()).show(
            {"errorDetail": {"code": 3, "message": "m"}, "error": "returned a non-zero code: 3"}
        )
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"error": "only this"}, "only this"),
        ({"errorDetail": {"message": "only that"}}, "only that"),
        ({"errorDetail": "strange"}, '{"errorDetail": "strange"}'),
    ],
)
def test_other_errors(message: dict[str, Any], text: str) -> None:
    with pytest.raises(ImagewrightError) as caught:
        MessageFeed(Recorder()).show(message)
    assert str(caught.value) == text


def test_plain_lines() -> None:
    out = io.BytesIO()
    display: Display = PlainDisplay(out)
    for event, _, _ in EVENTS[:9]:
        show_event(display, event)
    display.output(b"")
    assert out.getvalue().decode().splitlines() == [
        "Step 1/12 : FROM scratch",
        " ---> Using cache",
        " ---> Not in the cache: so",
        "# Executing 1 build trigger",
        f" ---> Running in {'a' * 12}",
        "a",
        "b",
        f"Removing intermediate container {'a' * 12}",
        f" ---> {SHORT}",
    ]


def test_plain_line_after_a_part_of_one() -> None:
    out = io.BytesIO()
    display = PlainDisplay(out)
    display.output(b"\xffno end")
    display.note("next \udcff")
    assert out.getvalue() == b"\xffno end\nnext ?\n"
