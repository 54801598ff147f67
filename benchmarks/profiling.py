"""Where imagewright's time goes in a workload: its daemon run again by `sampled.py`, and how that is put in words."""

import contextlib
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagewright
from support.processes import serving

__all__ = ["Profile", "Sampled", "largest", "profile", "sampled"]

_SCRIPT = Path(__file__).with_name("sampled.py")

# What a line does, by what is on it; the first that fits. What fits none is told by its package.
_DOINGS = (
    (re.compile(r"hash|digest|sha256"), "sha256"),
    (re.compile(r"\bos\.p?(read|readv|preadv)\("), "reading files"),
    (re.compile(r"\bos\.p?(write|writev|pwritev)\(|copy_file_range|sendfile"), "writing files"),
    (re.compile(r"rmtree|rmdir|unlink"), "removing"),
    (re.compile(r"fsync|fdatasync|sync_file_range|syncfs|\bsync\("), "waiting for the disk"),
    (re.compile(r"compress|gzip|zstd|igzip"), "gzip"),
    (re.compile(r"\.wait\(|waitpid|communicate|Popen|\.poll\("), "runc and other processes"),
    (re.compile(r"\bexecute|commit\(|session|cursor"), "database"),
    (re.compile(r"mount|unshare|setns|umount"), "mounts and namespaces"),
)
# On these lines a thread waits for another one of the daemon, whose time it is; what counts is their processor time.
_HANDOVERS = re.compile(r"_queue\.(get|put)\(|_changed|_free\.acquire|asyncio\.run\(|\bwait\(under_way")
_PACKAGES = {
    "api": "HTTP",
    "archive": "reading and writing tar",
    "build": "carrying out steps",
    "dockerfile": "the Dockerfile",
    "filesystem": "the file tree",
    "plan": "planning",
    "registry": "registry",
    "sandbox": "sandbox",
    "solve": "the order of steps",
    "store": "store",
}
_SHARES, _LINES = 6, 3
_LEAST_SHARE = 0.02


@dataclass(frozen=True)
class Profile:
    """Where the time of the row `key` goes: shares of what was done, and of the functions with most of it."""

    key: str
    summary: str
    shares: tuple[tuple[str, float], ...]
    lines: tuple[tuple[str, float], ...] = ()


def profile(key: str, seconds: float, lines: list[dict[str, Any]]) -> Profile:
    """Return the profile that the `lines` of a sampler make, for work that took `seconds`."""
    doings: Counter[str] = Counter()
    places: Counter[str] = Counter()
    for line in lines:
        spent = max(line["cpu"], 0.0) if _HANDOVERS.search(line["text"]) else line["wall"]
        doings[_doing(line)] += spent
        places[f"{line['file'].removesuffix('.py')}: {line['function'].replace('.<locals>', '')}"] += spent
    whole, processor = doings.total(), sum(line["cpu"] for line in lines)
    summary = f"{seconds:.2f} s (threads {whole:.2f} s, of which on a processor {processor:.2f} s)"
    return Profile(key, summary, largest(doings, whole, _SHARES), largest(places, whole, _LINES))


def largest(totals: Mapping[str, float], whole: float, count: int) -> tuple[tuple[str, float], ...]:
    """Return the largest of `totals` as shares of `whole`."""
    ordered = sorted(totals.items(), key=lambda item: -item[1])[:count]
    return tuple((what, total / whole) for what, total in ordered if total >= _LEAST_SHARE * whole)


def _doing(line: Mapping[str, Any]) -> str:
    for pattern, doing in _DOINGS:
        if pattern.search(line["text"]):
            return doing
    package: str = line["file"].partition("/")[0]
    return _PACKAGES.get(package, package.removesuffix(".py"))


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
