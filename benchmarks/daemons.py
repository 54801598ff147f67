"""What a daemon takes before it does anything: its start, its memory; and what `--help` takes."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from floors import Floor, interpreter
from measuring import timed
from memory import memory
from peers import Peer
from rows import ABSOLUTE, Goal, Row, Values, Workload
from world import World

import imagewright
from support.dockerd import dockerd
from support.processes import end
from support.unixhttp import request

__all__ = ["DAEMONS", "imports"]

_SETTLED_SECONDS = 1.0
_PATIENCE_SECONDS = 30.0


def _sample(world: World, peer: Peer, number: int) -> Values:
    if peer.name == "podman":
        return None, None, _help("podman")
    top = world.top / f"start-{peer.name}-{number}"
    top.mkdir()
    if peer.name == "classic":
        begun = time.perf_counter()
        with dockerd(str(top)) as docker:
            start = time.perf_counter() - begun
            time.sleep(_SETTLED_SECONDS)
            return start, memory(docker.process.pid) / 1e6, _help("docker")
    return *_ours(top), _help(sys.executable, "-m", "imagewright")


def _ours(top: Path) -> tuple[float, float]:
    """Return the seconds from the start of a daemon to its first answer, and the MB that it has when it has nothing."""
    with tempfile.TemporaryDirectory() as directory, (top / "log").open("wb") as log:
        socket = os.path.join(directory, "s")
        command = [sys.executable, "-m", "imagewright", "serve", "-H", f"unix://{socket}", "--data-root", str(top)]
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=_environment(), start_new_session=True)
        try:
            while not _answers(socket):
                if process.poll() is not None or time.perf_counter() - begun > _PATIENCE_SECONDS:
                    raise RuntimeError("the daemon did not come up")
                time.sleep(0.002)
            start = time.perf_counter() - begun
            time.sleep(_SETTLED_SECONDS)
            return start, memory(process.pid) / 1e6
        finally:
            end(process)


def _answers(socket: str) -> bool:
    try:
        return request(socket, "GET", "/_ping", timeout=5)[0] == 200
    except OSError:
        return False


def _help(*program: str) -> float:
    command = [*program, "--help"]
    return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=_environment()))


def _environment() -> dict[str, str]:
    sources = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))
    return {**os.environ, "PYTHONPATH": sources}


def imports(*modules: str) -> dict[str, float]:
    """Return the seconds that importing `modules` takes for each top-level package, itself alone."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {', '.join(modules)}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    found: dict[str, float] = {}
    for line in done.stderr.splitlines():
        own, _, rest = line.removeprefix("import time:").partition("|")
        if own.strip().isdecimal():
            package = rest.partition("|")[2].strip().partition(".")[0]
            found[package] = found.get(package, 0.0) + int(own) / 1e6
    return found


def _floors(_world: World) -> tuple[Floor | None, ...]:
    floor = interpreter()
    return floor, None, floor


DAEMONS = Workload(
    (
        Row("start", "daemon: start to first answer", (Goal(0.5, ABSOLUTE),)),
        Row("idle", "daemon: idle memory (PSS)", (Goal(80, ABSOLUTE),), unit="MB"),
        Row("help", "`imagewright --help`", (Goal(0.2, ABSOLUTE),)),
    ),
    _sample,
    _floors,
    rounds=5,
    podman_rounds=5,
    podman_quick=True,
    peers=("imagewright", "classic", "podman"),
)
