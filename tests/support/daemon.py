"""The imagewright daemon as a program of its own."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

import imagewright
from support.processes import serving

__all__ = ["Daemon", "daemon"]


@dataclass(frozen=True)
class Daemon:
    """A running daemon; `socket` is the path of its unix socket, `process` is there to be killed."""

    socket: str
    data_root: str
    log: str
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        """The address as DOCKER_HOST has it."""
        return f"unix://{self.socket}"


@contextlib.contextmanager
def daemon(directory: str, *arguments: str) -> Iterator[Daemon]:
    """Run `imagewright serve` on `directory` until the block ends; the data stays, to be served or looked at again."""
    # Unix socket paths are short, and a test's directory need not be.
    runtime = tempfile.mkdtemp(prefix="imagewright-")
    socket = os.path.join(runtime, "engine.sock")
    data_root = os.path.join(directory, "data")
    log = os.path.join(directory, "daemon.log")
    command = [sys.executable, "-m", "imagewright", "serve", "-H", f"unix://{socket}", "--data-root", data_root]
    # The daemon runs the code that the test runs, installed or not.
    sources = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))
    environment = {**os.environ, "PYTHONPATH": sources}
    try:
        with serving([*command, *arguments], socket=socket, log=log, environment=environment) as process:
            yield Daemon(socket, data_root, log, process)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
