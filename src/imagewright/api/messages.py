"""Events as the JSON messages of a build's answer, in the grammar of the engine's classic builder."""

import codecs
from collections.abc import Callable, Iterator
from typing import Any

from imagewright import events
from imagewright.api import wire
from imagewright.api.encoding import REPLACE, encode
from imagewright.api.progress import bar
from imagewright.events import Event

__all__ = ["Messages", "line"]

# Standard error is shown in red, as the engine does it.
_RED = "\x1b[91m"
_PLAIN = "\x1b[0m"
# Warnings about the text of the Dockerfile come in red; those about its parameters, spelt otherwise, do not.
_RED_WARNING = "[WARNING]"


def line(message: wire.Document) -> bytes:
    """Return `message` as it goes over the wire: one line, ended by CR LF."""
    return encode(message, html=True) + b"\r\n"


class Messages:
    """Turns the events of one job into lines, in order.

    `aux` says whether results of stages are told, which old clients do not expect. A character whose bytes come in two
    pieces of output is put together again. Not safe to use from two threads at a time.
    """

    def __init__(self, *, aux: bool = True) -> None:
        self._aux = aux
        self._decoders = {
            channel: codecs.getincrementaldecoder("utf-8")(errors=REPLACE) for channel in ("stdout", "stderr")
        }

    def render(self, event: Event) -> Iterator[bytes]:
        """Yield the lines that say `event`."""
        if isinstance(event, events.Output):
            yield from self._output(event.channel, self._decoders[event.channel].decode(event.data))
            return
        yield from self._rest()
        if isinstance(event, events.StageFinished):
            if self._aux:
                yield line(wire.aux_message(str(event.image)))
        elif isinstance(event, events.Squashed):
            if self._aux:
                yield line(wire.squashed_message(str(event.image)))
        elif isinstance(event, events.Status):
            yield line(_status(event))
        else:
            for text in _TEXTS[type(event)](event):
                yield line(wire.stream_message(text))

    def _rest(self) -> Iterator[bytes]:
        for channel, decoder in self._decoders.items():
            yield from self._output(channel, decoder.decode(b"", final=True))

    @staticmethod
    def _output(channel: str, text: str) -> Iterator[bytes]:
        if text:
            yield line(wire.stream_message(f"{_RED}{text}{_PLAIN}" if channel == "stderr" else text))


def _status(event: events.Status) -> wire.Document:
    message = wire.status_message(
        event.message,
        subject=event.subject,
        current=event.current,
        total=event.total,
        bar=bar(event.current, event.total),
    )
    # Some messages are all `extra`: they have no status at all.
    shown = message if event.message else {key: value for key, value in message.items() if key != "status"}
    return shown | event.extra


def _triggers(event: events.TriggersStarted) -> tuple[str, ...]:
    start = f"# Executing {event.count} build trigger"
    return (start, "s", "\n") if event.count > 1 else (start, "\n")


def _warning(event: events.BuildWarning) -> tuple[str, ...]:
    text = event.message if event.message.endswith("\n") else f"{event.message}\n"
    return (f"{_RED}{text}{_PLAIN}" if text.startswith(_RED_WARNING) else text,)


_TEXTS: dict[type[Event], Callable[[Any], tuple[str, ...]]] = {
    events.StepStarted: lambda event: (f"Step {event.number}/{event.total} : {event.text}", "\n"),
    events.CacheHit: lambda _: (" ---> Using cache\n",),
    events.CacheMiss: lambda event: (f" ---> Not in the cache: {event.reason}\n",),
    events.TriggersStarted: _triggers,
    events.ContainerStarted: lambda event: (f" ---> Running in {event.container[:12]}\n",),
    events.ContainerRemoved: lambda event: (f"Removing intermediate container {event.container[:12]}\n",),
    events.StepFinished: lambda event: (f" ---> {event.image.short if event.image else ''}\n",),
    events.Built: lambda event: (f"Successfully built {event.image.short}\n",),
    events.Tagged: lambda event: (f"Successfully tagged {event.name}\n",),
    events.BuildWarning: _warning,
}
