"""Messages of streams: progress, results, errors, events."""

from imagewright.api.wire.document import SECOND, Document
from imagewright.engine import Happening

__all__ = [
    "aux_message",
    "error",
    "error_message",
    "event_message",
    "squashed_message",
    "status_message",
    "stream_message",
]


def error(message: str) -> Document:
    """Return the body of every answer that is not a success."""
    return {"message": message}


def stream_message(text: str) -> Document:
    """Return a message that carries a piece of the log."""
    return {"stream": text}


def aux_message(image_id: str) -> Document:
    """Return the message that names the image a stage came to."""
    return {"aux": {"ID": image_id}}


def squashed_message(image_id: str) -> Document:
    """Return the message that names the image that a build's layers were squashed into."""
    return {"id": "moby.image.id", "aux": {"ID": image_id}}


def error_message(message: str, code: int | None = None) -> Document:
    """Return the last message of work that failed; `code` is the exit code of a RUN."""
    detail: Document = {"message": message} if code is None else {"code": code, "message": message}
    return {"errorDetail": detail, "error": message}


def status_message(
    status: str, *, subject: str = "", current: int | None = None, total: int | None = None, bar: str = ""
) -> Document:
    """Return a message about a transfer: `current` of `total` bytes, drawn as `bar` for those who do not draw it."""
    message: Document = {"status": status}
    if current is not None or total is not None:
        counts = {"current": current, "total": total}
        message["progressDetail"] = {name: count for name, count in counts.items() if count}
    if bar:
        message["progress"] = bar
    if subject:
        message["id"] = subject
    return message


# Only these have the keys that events had before there were types of them.
_OLD_TYPES = ("image", "container")


def event_message(happening: Happening) -> Document:
    """Return the message that tells of `happening`, with the keys of old beside those of today."""
    message: Document = {}
    if happening.type in _OLD_TYPES:
        message["status"] = happening.action
        if happening.id:
            message["id"] = happening.id
    if happening.type == "container" and happening.attributes.get("image"):
        message["from"] = happening.attributes["image"]
    return message | {
        "Type": happening.type,
        "Action": happening.action,
        "Actor": {"ID": happening.id, "Attributes": dict(sorted(happening.attributes.items()))},
        "scope": "local",
        "time": happening.time_ns // SECOND,
        "timeNano": happening.time_ns,
    }
