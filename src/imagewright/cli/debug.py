"""`imagewright debug`."""

import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator, Sequence
from types import FrameType

import click

from imagewright.cancellation import Cancellation
from imagewright.cli.client import alive
from imagewright.cli.options import DEFAULT_DATA_ROOT, DEFAULT_SOCKET
from imagewright.cli.secrets import parse_secrets
from imagewright.cli.ssh_agents import parse_forwarded
from imagewright.engine import Attachment, Engine
from imagewright.errors import SystemFailure, Unsupported
from imagewright.events import BuildWarning, Event

__all__ = ["command"]

_HELD = (
    "a daemon holds the data root, and has no way yet to attach a terminal: stop it, "
    "or make an image of the container with `docker commit` and build on that"
)


@click.command("debug", context_settings={"ignore_unknown_options": True})
@click.argument("container")
@click.argument("argv", nargs=-1, metavar="[-- COMMAND...]")
@click.option("--data-root", metavar="DIR", help=f"Where the container is. [default: {DEFAULT_DATA_ROOT}]")
@click.option(
    "--secret",
    "secret_texts",
    multiple=True,
    metavar="id=ID[,src=FILE|,env=VAR]",
    help="Show a secret that the step had once more; may be repeated.",
)
@click.option(
    "--ssh",
    "ssh_texts",
    multiple=True,
    metavar="default|ID[=SOCKET]",
    help="Lend an ssh agent that the step had once more; may be repeated.",
)
@click.option("--runtime", metavar="PROGRAM", help="OCI runtime. [default: runc or crun]")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    container: str,
    argv: Sequence[str],
    data_root: str | None,
    secret_texts: Sequence[str],
    ssh_texts: Sequence[str],
    runtime: str | None,
) -> None:
    """Run COMMAND, or a shell, in what a failed step left in CONTAINER.

    The command has the environment, user, directory, mounts, limits and hosts of the step, and its security; it is said
    which mounts are gone. What it changes is thrown away, and its exit code is that of this program. No daemon may be
    running on the data root.
    """
    if data_root is None and alive(DEFAULT_SOCKET):
        raise Unsupported(_HELD)
    secrets, agents = parse_secrets("--secret", secret_texts), parse_forwarded("--ssh", ssh_texts)
    interactive = sys.stdin.isatty()
    attachment, cancellation = Attachment(), Cancellation()
    term = os.environ.get("TERM", "")
    with (
        _open_engine(data_root or DEFAULT_DATA_ROOT, runtime) as engine,
        _signals_passed_on(attachment, cancellation, interactive=interactive),
        _terminal_kept(),
    ):
        exit_code = engine.debug(
            container,
            argv,
            attachment=attachment,
            env=(f"TERM={term}",) if interactive and term else (),
            secrets=secrets,
            agents=agents,
            report=_note,
            cancellation=cancellation,
        )
    ctx.exit(exit_code)


def _note(event: Event) -> None:
    if isinstance(event, BuildWarning):
        click.echo(f"note: {event.message}", err=True)


def _open_engine(data_root: str, runtime: str | None) -> Engine:
    try:
        return Engine(data_root, runtime=runtime)
    except SystemFailure as error:
        if "in use by another" in str(error):
            raise Unsupported(_HELD) from error
        raise


@contextlib.contextmanager
def _signals_passed_on(attachment: Attachment, cancellation: Cancellation, *, interactive: bool) -> Iterator[None]:
    """Let whoever sits at a terminal interrupt what runs in the shell there; any other signal ends everything."""

    def end(_number: int, _frame: FrameType | None) -> None:
        # The handler may have come in the middle of what holds a lock that cancelling needs.
        threading.Thread(target=cancellation.cancel).start()

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        attachment.interrupt()

    handlers = {
        signal.SIGINT: interrupt if interactive else end,
        signal.SIGQUIT: interrupt if interactive else end,
        signal.SIGTERM: end,
        signal.SIGHUP: end,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Leave the terminal as it was, whatever the command made of it."""
    try:
        before = termios.tcgetattr(0)
    except termios.error:
        yield
        return
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
