import json
from typing import Any

import pytest

from imagewright import events
from imagewright.api.messages import Messages, line
from imagewright.events import Event
from imagewright.oci import Digest

IMAGE = Digest("744dbba149b9" + "0" * 52)
CONTAINER = "e05413c22a44" + "0" * 52


def rendered(*happened: Event, aux: bool = True) -> list[Any]:
    messages = Messages(aux=aux)
    return [json.loads(piece) for event in happened for piece in messages.render(event)]


def test_a_line_ends_with_cr_lf() -> None:
    assert line({"stream": "a\n"}) == b'{"stream":"a\\n"}\r\n'


@pytest.mark.parametrize(
    ("event", "texts"),
    [
        (events.StepStarted(2, 6, "LABEL a=b"), ["Step 2/6 : LABEL a=b", "\n"]),
        (events.CacheHit(), [" ---> Using cache\n"]),
        (events.CacheMiss("so"), [" ---> Not in the cache: so\n"]),
        (events.TriggersStarted(1), ["# Executing 1 build trigger", "\n"]),
        (events.TriggersStarted(2), ["# Executing 2 build trigger", "s", "\n"]),
        (events.ContainerStarted(CONTAINER), [" ---> Running in e05413c22a44\n"]),
        (events.ContainerRemoved(CONTAINER), ["Removing intermediate container e05413c22a44\n"]),
        (events.StepFinished(IMAGE), [" ---> 744dbba149b9\n"]),
        (events.StepFinished(None), [" ---> \n"]),
        (events.Built(IMAGE), ["Successfully built 744dbba149b9\n"]),
        (events.Tagged("b/c:2"), ["Successfully tagged b/c:2\n"]),
        (events.Output("stdout", b"one\ntwo"), ["one\ntwo"]),
        (events.Output("stdout", b""), []),
        (events.Output("stderr", b"oops\n"), ["\x1b[91moops\n\x1b[0m"]),
        (
            events.BuildWarning("[Warning] One or more build-args [A B] were not consumed"),
            ["[Warning] One or more build-args [A B] were not consumed\n"],
        ),
        (events.BuildWarning("[WARNING]: Empty line\n"), ["\x1b[91m[WARNING]: Empty line\n\x1b[0m"]),
    ],
)
def test_events_that_are_pieces_of_log(event: Event, texts: list[str]) -> None:
    assert rendered(event) == [{"stream": text} for text in texts]


def test_the_result_of_a_stage() -> None:
    assert rendered(events.StageFinished(IMAGE)) == [{"aux": {"ID": str(IMAGE)}}]
    assert rendered(events.StageFinished(IMAGE), aux=False) == []


def test_the_result_of_squashing() -> None:
    assert rendered(events.Squashed(IMAGE)) == [{"id": "moby.image.id", "aux": {"ID": str(IMAGE)}}]
    assert rendered(events.Squashed(IMAGE), aux=False) == []


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (events.Status("Digest: sha256:x"), {"status": "Digest: sha256:x"}),
        (events.Status("Pulling from d", "latest"), {"status": "Pulling from d", "id": "latest"}),
        (
            events.Status("Downloading", current=28, total=28),
            {
                "status": "Downloading",
                "progressDetail": {"current": 28, "total": 28},
                "progress": f"[{'=' * 50}>]      28B/28B",
            },
        ),
        (
            events.Status("http://x", "Downloading context", current=28),
            {
                "status": "http://x",
                "progressDetail": {"current": 28},
                "progress": "     28B",
                "id": "Downloading context",
            },
        ),
        (
            events.Status("Already exists", "fd", current=0, extra={"aux": {"Size": 1}}),
            {"status": "Already exists", "progressDetail": {}, "id": "fd", "aux": {"Size": 1}},
        ),
    ],
)
def test_transfers(event: events.Status, message: dict[str, Any]) -> None:
    assert rendered(event) == [message]


def test_a_character_in_two_pieces_is_put_together() -> None:
    first, second = "€".encode()[:1], "€".encode()[1:]
    happened: list[Event] = [
        events.Output("stdout", b"a" + first),
        events.Output("stderr", b"x"),
        events.Output("stdout", second + b"b"),
    ]
    assert rendered(*happened) == [{"stream": "a"}, {"stream": "\x1b[91mx\x1b[0m"}, {"stream": "€b"}]


def test_a_character_that_never_ends_is_replaced_at_the_next_event() -> None:
    happened: list[Event] = [events.Output("stdout", b"\xe2\x82"), events.CacheHit()]
    assert rendered(*happened) == [{"stream": "\ufffd\ufffd"}, {"stream": " ---> Using cache\n"}]
