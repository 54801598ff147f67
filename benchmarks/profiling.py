"""Where imagewright's time goes in a workload: its daemon run again by `sampled.py`."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagewright
from support.processes import serving

__all__ = ["Sampled", "sampled"]

_SCRIPT = Path(__file__).with_name("sampled.py")


@dataclass(frozen=True)
class Sampled:
    """A daemon on `socket`, whose first process is `pid`, that says what it does."""

    socket: str
    pid: int
    output: Path

    def during(self, action: Callable[[], Any]) -> list[dict[str, Any]]:
        """Return the lines that take time during `action`, those with most first."""
        switch = Path(f"{self.output}.on")
        self.output.unlink(missing_ok=True)
        switch.touch()
        time.sleep(0.15)
        action()
        switch.unlink()
        while not self.output.exists():
            time.sleep(0.05)
        found: list[dict[str, Any]] = json.loads(self.output.read_text())
        top = os.path.dirname(os.path.abspath(imagewright.__file__)) + os.sep
        return [{**line, "file": line["file"].removeprefix(top)} for line in found]


@contextlib.contextmanager
def sampled(directory: Path) -> Iterator[Sampled]:
    """Run the daemon below `directory`, with `base:1`."""
    socket, output = directory / "s.sock", directory / "samples.json"
    sources = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))
    command = [sys.executable, str(_SCRIPT), str(output), "serve", "-H", f"unix://{socket}"]
    environment = {**os.environ, "PYTHONPATH": sources}
    with serving(
        [*command, "--data-root", str(directory / "sampled")],
        socket=str(socket),
        log=str(directory / "sampled.log"),
        environment=environment,
    ) as process:
        yield Sampled(str(socket), process.pid, output)
