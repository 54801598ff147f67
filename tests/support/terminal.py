"""Standard output as a terminal."""

import contextlib
import os
import pty
import re
import sys
import termios
from collections.abc import Iterator

import pytest

__all__ = ["Terminal", "terminal"]

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal:
    """What was written, without colours and movements, line by line; there when the block has ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []


@contextlib.contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch, *, columns: int = 100) -> Iterator[Terminal]:
    """Let `sys.stdout` be a terminal of so many columns until the block ends; at most a few KiB can be written."""
    screen = Terminal()
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (40, columns))
    try:
        with open(slave, "w", encoding="utf-8") as out, monkeypatch.context() as patched:
            patched.setenv("TERM", "xterm")
            patched.setenv("COLUMNS", str(columns))
            patched.setattr(sys, "stdout", out)
            yield screen
            out.flush()
            os.set_blocking(master, False)
            with contextlib.suppress(BlockingIOError):
                written = b""
                while data := os.read(master, 1 << 16):
                    written += data
            lines = _CONTROL.sub("", written.decode()).replace("\r", "\n").split("\n")
            screen.lines.extend(line.rstrip() for line in lines if line.strip())
    finally:
        os.close(master)
