"""Daemons that a test starts, and their clean end."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence

from support.unixhttp import wait_until_ready

__all__ = ["end", "serving", "tail"]


@contextlib.contextmanager
def serving(
    command: Sequence[str], *, socket: str, log: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon `command` until the block ends; on entry it answers pings on `socket`.

    What it prints goes to the file `log`, whose end is in the message if it does not come up.
    """
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, start_new_session=True
        )
    try:
        if not wait_until_ready(socket, alive=lambda: process.poll() is None):
            raise RuntimeError(f"{command[0]} did not come up:\n{tail(log)}")
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes], *, seconds: float = 20) -> int:
    """Ask the process to stop, then make it; return its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def tail(path: str, *, size: int = 4000) -> str:
    """Return the last `size` bytes of a log."""
    with open(path, "rb") as log:
        log.seek(0, os.SEEK_END)
        log.seek(max(0, log.tell() - size))
        return log.read().decode(errors="replace")
