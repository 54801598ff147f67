"""The git program: what it may do, how long, how much, and that nothing of it stays."""

import contextlib
import os
import re
import selectors
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, cast

from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, SystemFailure
from imagewright.remote.limits import FetchLimits

__all__ = ["Git", "Outcome"]

# The first that keeps to the address that it is given (`http.curloptResolve`).
_OLDEST = (2, 37)
_TICK = 0.1
_MOST_OUTPUT = 1 << 20
_MOST_ERRORS = 64 << 10
_PIECE = 64 << 10
_BLOCK = 512
# One look at the directory costs; it may not cost more than a part of the time.
_LOOK_EVERY = 0.5
_LOOK_SHARE = 10

# Nothing that a repository brings along is ever run: no hooks, no filters (they exist only by configuration), no file
# system monitor; no transport but these four, and of these no redirect that nobody looked at.
_CONFIG: Mapping[str, str] = {
    "advice.detachedHead": "false",
    "core.askPass": "",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.bigFileThreshold": "64m",
    "core.excludesFile": "/dev/null",
    "core.fsmonitor": "false",
    "core.hooksPath": "/dev/null",
    "core.logAllRefUpdates": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.uriProtocols": "",
    "gc.auto": "0",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1",
    "http.proxy": "",
    "init.defaultBranch": "master",
    "maintenance.auto": "false",
    "pack.threads": "1",
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.file.allow": "never",
    "protocol.git.allow": "always",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "submodule.recurse": "false",
    "transfer.bundleURI": "false",
}
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of git ended: its exit status, what it printed, and the beginning of what it complained of."""

    status: int
    output: bytes
    errors: str


class Git:
    """Runs git, which may write to `directory` alone; all runs together have the time and the bytes of `limits`.

    `directory` is empty and the caller's to remove; git finds nothing of a user's or the system's configuration.
    """

    def __init__(self, directory: str, cancellation: Cancellation, limits: FetchLimits) -> None:
        self._directory = directory
        self._cancellation = cancellation
        self._limits = limits
        self._deadline = time.monotonic() + limits.total
        self._next_look = 0.0
        home = os.path.join(directory, "home")
        os.mkdir(home, 0o700)
        self._home = home

    @property
    def remaining(self) -> float:
        """How many seconds are left."""
        return max(0.0, self._deadline - time.monotonic())

    def check_version(self) -> None:
        """Raise `SystemFailure` for a git that would not understand all that it is told here."""
        outcome = self.run("version", at=self._directory)
        known = re.search(rb"(\d+)\.(\d+)", outcome.output)
        if known is None or (int(known[1]), int(known[2])) < _OLDEST:
            raise SystemFailure(f"git contexts need git {_OLDEST[0]}.{_OLDEST[1]} or newer")

    def run(
        self,
        *arguments: str,
        at: str,
        config: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        consume: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        """Run git with `arguments` in the directory `at`, and return how it ended; its processes are gone then.

        What it prints is given to `consume` piece by piece, where there is one. Raises `Cancelled`, `InvalidInput`
        where a limit is exceeded, and `SystemFailure` where there is no git.
        """
        self._cancellation.check()
        try:
            process = subprocess.Popen(
                ["git", *arguments],
                cwd=at,
                env={**self._environment(config or {}), **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                umask=0o022,
            )
        except FileNotFoundError as error:
            raise SystemFailure("git contexts need the git program, which is not installed") from error
        with cast("IO[bytes]", process.stdout) as output, cast("IO[bytes]", process.stderr) as errors:
            forget = self._cancellation.on_cancel(lambda: _kill(process))
            try:
                printed, complained = self._attend(process, output, errors, consume)
            finally:
                forget()
                _kill(process)
                process.wait()
        self._cancellation.check()
        self._check_size()
        return Outcome(process.returncode, printed, complained.decode("utf-8", "replace"))

    def _environment(self, config: Mapping[str, str]) -> dict[str, str]:
        known = {**_CONFIG, "http.lowSpeedTime": str(max(1, int(self._limits.idle))), **config}
        environment = {
            "PATH": os.environ.get("PATH", _DEFAULT_PATH),
            "HOME": self._home,
            "XDG_CONFIG_HOME": self._home,
            "LC_ALL": "C",
            "GIT_ALLOW_PROTOCOL": "git:http:https:ssh",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_CEILING_DIRECTORIES": self._directory,
            "GIT_CONFIG_COUNT": str(len(known)),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        # Certificates that the rest of this program trusts, git trusts too.
        if trusted := os.environ.get(ssl.get_default_verify_paths().openssl_cafile_env):
            environment["GIT_SSL_CAINFO"] = trusted
        for number, (name, value) in enumerate(known.items()):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return environment

    def _attend(
        self,
        process: subprocess.Popen[bytes],
        output: IO[bytes],
        errors: IO[bytes],
        consume: Callable[[bytes], None] | None,
    ) -> tuple[bytes, bytes]:
        """Read both pipes until they end or git has ended; return their beginnings."""
        kept = {output: bytearray(), errors: bytearray()}
        most = {output: _MOST_OUTPUT, errors: _MOST_ERRORS}
        with selectors.DefaultSelector() as selector:
            for pipe in kept:
                os.set_blocking(pipe.fileno(), False)
                selector.register(pipe, selectors.EVENT_READ)
            ended = False
            while selector.get_map():
                ready = selector.select(0 if ended else _TICK)
                if ended and not ready:
                    break
                for key, _ in ready:
                    pipe = output if key.fd == output.fileno() else errors
                    data = os.read(key.fd, _PIECE)
                    if not data:
                        selector.unregister(pipe)
                    elif pipe is output and consume is not None:
                        consume(data)
                    else:
                        kept[pipe] += data[: most[pipe] - len(kept[pipe])]
                self._check()
                # Whatever git has left running holds the pipes open, but has nothing to say.
                ended = ended or _has_ended(process)
            while not _has_ended(process):
                self._check()
                self._cancellation.wait(_TICK / 10)
        return bytes(kept[output]), bytes(kept[errors])

    def _check(self) -> None:
        self._cancellation.check()
        now = time.monotonic()
        if now > self._deadline:
            raise InvalidInput(f"the repository took more than {self._limits.total:g} seconds")
        if now > self._next_look:
            self._check_size()
            self._next_look = time.monotonic() + max(_LOOK_EVERY, _LOOK_SHARE * (time.monotonic() - now))

    def _check_size(self) -> None:
        if _size(self._directory) > self._limits.size:
            raise InvalidInput(f"the repository is larger than {self._limits.size} bytes")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether `process` has ended; it is not waited for, so that its group keeps its number."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _size(directory: str) -> int:
    """Return how many bytes of disk everything below `directory` takes."""
    size = 0
    waiting = [directory]
    while waiting:
        # Things come and go while git works.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    size += entry.stat(follow_symlinks=False).st_blocks * _BLOCK
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return size
