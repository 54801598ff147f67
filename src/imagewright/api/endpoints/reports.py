"""Events as the messages of a stream."""

import threading

from imagewright.api.messages import Messages
from imagewright.api.streaming import Job
from imagewright.events import Event, Reporter, Status

__all__ = ["reporter"]


def reporter(job: Job, *, quiet: bool = False) -> Reporter:
    """Return the reporter that writes what it is told into the answer of `job`; with `quiet` no progress."""
    messages = Messages()
    turn = threading.Lock()

    def report(event: Event) -> None:
        if quiet and isinstance(event, Status):
            return
        with turn:
            for message in messages.render(event):
                job.answer.write(message)

    return report
