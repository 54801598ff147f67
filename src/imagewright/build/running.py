"""RUN: a process on top of the layers so far, and the layer of what it changed."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from imagewright.build.copying import read_accounts
from imagewright.build.mounting import Mounted
from imagewright.build.request import Network, Surroundings
from imagewright.cancellation import Cancellation
from imagewright.errors import RunFailed
from imagewright.events import Output, Reporter
from imagewright.filesystem import Layer
from imagewright.oci import Digest
from imagewright.plan import RunCommand
from imagewright.sandbox import Channel, OutputSink, RunRequest, architecture, capture, check_limits, unpack
from imagewright.store import Store

__all__ = ["Changes", "Runner", "check_surroundings", "left_behind", "run_command"]

_BEGINNING = 8192
_EXEC_FORMAT = re.compile(rb"exec [^\n]*: exec format error\n")


class Runner(Protocol):
    """Whoever can run a process in a container."""

    def run(self, request: RunRequest, *, output: OutputSink, cancellation: Cancellation) -> int:
        """Run `request` to its end and return the exit code; `RunFailed` if there is more to say of a failure."""
        ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What a process left: a layer, and the upper directory that holds its bytes."""

    layer: Layer
    directory: str


def run_command(
    op: RunCommand,
    diff_ids: Sequence[Digest],
    *,
    store: Store,
    runner: Runner,
    container: str,
    network: Network,
    surroundings: Surroundings,
    mounted: Mounted,
    directory: str,
    report: Reporter,
    cancellation: Cancellation,
) -> Changes:
    """Run `op` on top of the layers `diff_ids`, in `directory` (empty, in the store), and return what it changed.

    Raises `RunFailed` with the engine's text if the process ends with a code that is not zero, and what the runner
    raises; `left_behind` then returns what was changed until then.
    """
    hosts = check_surroundings(surroundings)
    tree = store.tree(diff_ids)
    user = read_accounts(tree).resolve_user(op.user)
    unpacking = partial(unpack, cancellation=cancellation)
    lowers = tuple(
        store.layer_directory(diff_id, diff_ids[:n], unpacking, cancellation=cancellation)
        for n, diff_id in enumerate(diff_ids)
    )
    cancellation.check()
    upper = os.path.join(directory, "upper")
    os.mkdir(upper)
    request = RunRequest(
        container_id=container,
        argv=op.argv,
        env=(*_environment(op, home=user.home, hostname=container[:12]), *mounted.env),
        cwd=op.workdir,
        uid=user.uid,
        gid=user.gid,
        groups=user.groups,
        lowers=lowers[::-1],
        upper=upper,
        root=tree,
        network=network,
        scripts=_scripts(op),
        limits=surroundings.limits,
        shm_size=surroundings.shm_size,
        extra_hosts=hosts,
        mounts=mounted.mounts,
        secret_env=mounted.secret_env,
        insecure=op.insecure,
    )
    said = _Said(report)
    message = f"The command '{' '.join(op.argv)}' returned a non-zero code"
    try:
        exit_code = runner.run(request, output=said, cancellation=cancellation)
    except RunFailed as error:
        raise RunFailed(f"{message}: {error.exit_code}: {error}", exit_code=error.exit_code) from error
    if exit_code:
        raise RunFailed(f"{message}: {exit_code}{said.reason()}", exit_code=exit_code)
    return Changes(capture(upper, tree, cancellation=cancellation), upper)


class _Said:
    """Reports what a process writes, and remembers the beginning of it."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._beginning = b""

    def __call__(self, channel: Channel, data: bytes) -> None:
        if len(self._beginning) < _BEGINNING:
            self._beginning += data[:_BEGINNING]
        self._report(Output(channel, data))

    def reason(self) -> str:
        """Return what to add to the error of a process that failed."""
        # What the runtime writes in the place of a program that the kernel does not take.
        if not _EXEC_FORMAT.fullmatch(self._beginning):
            return ""
        return f": the program cannot run on this machine, which is linux/{architecture()}"


def check_surroundings(surroundings: Surroundings) -> tuple[tuple[str, str], ...]:
    """Return the extra hosts as (name, address); raise `InvalidInput` with the engine's text for what cannot be."""
    return check_limits(surroundings.limits, shm_size=surroundings.shm_size, extra_hosts=surroundings.extra_hosts)


def left_behind(diff_ids: Sequence[Digest], *, store: Store, directory: str, cancellation: Cancellation) -> Changes:
    """Return what a process that failed has changed: `run_command` had these `diff_ids` and this `directory`."""
    upper = os.path.join(directory, "upper")
    return Changes(capture(upper, store.tree(diff_ids), cancellation=cancellation), upper)


def _scripts(op: RunCommand) -> tuple[tuple[str, bytes], ...]:
    if op.script is None:
        return ()
    return ((op.script.name, op.script.content.encode("utf-8", "surrogateescape")),)


def _environment(op: RunCommand, *, home: str, hostname: str) -> tuple[str, ...]:
    """Return what the process sees; HOME and HOSTNAME give way to what the image says of them."""
    given = (*op.env, *op.unrecorded_env)
    names = {entry.partition("=")[0] for entry in given}
    extra = (("HOSTNAME", hostname), ("HOME", home))
    return (*given, *(f"{name}={value}" for name, value in extra if name not in names))
