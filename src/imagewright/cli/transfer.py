"""What a pull or a push shows while it goes on: lines in a pipe, a row for each layer on a terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

from imagewright.cli.display import message_error
from imagewright.events import Status

__all__ = ["ShowStatus", "plain_transfer", "read_status", "transfer_display"]

ShowStatus = Callable[[Status], None]
"""Shows where a transfer is; called from one thread at a time."""


def read_status(message: Mapping[str, Any]) -> Status:
    """Return what a JSON message of the Engine API's stream says; raises the error that it tells of."""
    if "errorDetail" in message or "error" in message:
        raise message_error(message)
    detail = message.get("progressDetail")
    current, total = (detail.get("current", 0), detail.get("total")) if isinstance(detail, Mapping) else (None, None)
    return Status(str(message.get("status") or ""), str(message.get("id") or ""), current, total)


def plain_transfer(out: TextIO) -> ShowStatus:
    """Return what prints lines as the docker program does in a pipe: all but progress."""

    def show(status: Status) -> None:
        if status.message and not (status.current or status.total):
            print(_line(status), file=out, flush=True)

    return show


@contextlib.contextmanager
def transfer_display(*, quiet: bool) -> Iterator[ShowStatus]:
    """Show a transfer on standard output until the block ends: with `quiet` nothing of it."""
    if quiet:
        yield lambda _status: None
    elif sys.stdout.isatty():
        with _rows() as show:
            yield show
    else:
        yield plain_transfer(sys.stdout)


@contextlib.contextmanager
def _rows() -> Iterator[ShowStatus]:
    from rich.console import Console  # noqa: PLC0415 - not for pipes
    from rich.markup import escape  # noqa: PLC0415
    from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn  # noqa: PLC0415

    columns = (TextColumn("{task.fields[subject]}:"), TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    rows: dict[str, TaskID] = {}
    with Progress(*columns, console=Console(highlight=False)) as progress:

        def show(status: Status) -> None:
            if status.current is None and status.total is None:
                if status.message:
                    progress.console.print(escape(_line(status)))
                return
            if status.subject not in rows:
                rows[status.subject] = progress.add_task("", total=None, subject=escape(status.subject))
            row = rows[status.subject]
            progress.update(row, description=escape(status.message))
            if status.total:
                progress.update(row, completed=status.current or 0, total=status.total)

        yield show


def _line(status: Status) -> str:
    return f"{status.subject}: {status.message}" if status.subject else status.message
