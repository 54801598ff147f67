"""Another process in the place of one that ended: in what it left, with its environment, user and directory."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from imagewright.build.kept_mounts import KeptMounts
from imagewright.build.request import Surroundings
from imagewright.build.running import run_command
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput, NotFound
from imagewright.events import BuildWarning, Reporter, ignore
from imagewright.filesystem import Tree, find
from imagewright.plan import RunCommand
from imagewright.sandbox import Attachment, OutputSink, RunRequest
from imagewright.store import Container, Process, Store

__all__ = ["AttachingRunner", "debug_container"]

# In the order in which they are liked.
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/busybox/sh")
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class AttachingRunner(Protocol):
    """Whoever can run a process in a container, with streams of this process."""

    def run(self, request: RunRequest, *, output: OutputSink | Attachment, cancellation: Cancellation) -> int:
        """Run `request` to its end and return the exit code."""
        ...


def debug_container(
    container: Container,
    argv: Sequence[str],
    *,
    store: Store,
    runner: AttachingRunner,
    attachment: Attachment,
    env: Sequence[str],
    secrets: Mapping[str, bytes],
    agents: Mapping[str, str],
    report: Reporter,
    cancellation: Cancellation,
) -> int:
    """Run `argv`, a shell if it is empty, on the files of `container`; return the exit code.

    It is started as the container's own process was, as far as that was recorded, with `env` besides: with its limits
    and hosts, and unconfined if that was. It has the mounts of that process, with `secrets` and the sockets `agents` by
    id; those that are gone are told to `report`. What it changes is thrown away, in caches too. Raises what the runner
    does, and `InvalidInput` if there is no shell or the limits cannot be set here.
    """
    process = container.process or _process_of_image(container, store)
    given = {entry.partition("=")[0] for entry in process.env}
    with store.scratch() as directory, store.lease() as lease:
        for diff_id in container.diff_ids:
            lease.keep(diff_id)
        tree = store.tree(container.diff_ids)
        op = RunCommand(
            argv=tuple(argv) or (_find_shell(tree),),
            env=(*process.env, *(entry for entry in env if entry.partition("=")[0] not in given)),
            user=process.user,
            workdir=process.workdir,
            insecure=process.insecure,
        )
        if process.insecure:
            report(
                BuildWarning("nothing confines this process, as nothing confined the step: it had security=insecure")
            )
        kept = KeptMounts(
            store=store,
            directory=tempfile.mkdtemp(dir=directory),
            secrets=secrets,
            agents=agents,
            keep=lease.keep,
            report=report,
        )
        with kept.made(process.mounts, tree, cancellation) as mounted:
            try:
                run_command(
                    op,
                    container.diff_ids,
                    store=store,
                    runner=_Attached(runner, attachment),
                    container=container.id,
                    network=process.network,
                    surroundings=msgspec.convert(process.surroundings, Surroundings),
                    mounted=mounted,
                    directory=tempfile.mkdtemp(dir=directory),
                    report=ignore,
                    cancellation=cancellation,
                )
            except _EndedError as ended:
                return ended.exit_code
    raise AssertionError("a process that was run has ended")


@dataclass
class _EndedError(Exception):
    """The process has ended. It passes by whoever would look for what was changed."""

    exit_code: int


class _Attached:
    """A runner whose processes have the streams of this one."""

    def __init__(self, runner: AttachingRunner, attachment: Attachment) -> None:
        self._runner = runner
        self._attachment = attachment

    def run(self, request: RunRequest, *, output: OutputSink, cancellation: Cancellation) -> int:
        del output
        raise _EndedError(self._runner.run(request, output=self._attachment, cancellation=cancellation))


def _process_of_image(container: Container, store: Store) -> Process:
    """Return how a process is started from the container's image, where it had none itself."""
    try:
        run = store.get_image(container.image).config.run
    except NotFound:
        return Process(env=(_PATH,), user="", workdir="/", network="default")
    return Process(env=tuple(run.env or (_PATH,)), user=run.user, workdir=run.working_dir or "/", network="default")


def _find_shell(tree: Tree) -> str:
    for shell in _SHELLS:
        if find(tree, shell[1:]) is not None:
            return shell
    raise InvalidInput("there is no shell in the container: say what to run, after --")
