"""What a step leaves to be looked at: its container, with its files and with what it printed."""

import os
from collections.abc import Callable
from contextlib import suppress

import msgspec

from imagewright.build.request import Surroundings
from imagewright.build.running import left_behind
from imagewright.build.state import State
from imagewright.cancellation import Cancellation
from imagewright.errors import ImagewrightError, RunFailed, SystemFailure
from imagewright.events import Event, Output, Reporter
from imagewright.oci import Digest
from imagewright.plan import Node, RunCommand
from imagewright.sandbox import Network
from imagewright.store import Container, KeptMount, LogWriter, Process, Store

__all__ = ["Remains"]

# What the engine has as the exit code of a process that could not be started: there is no such program, or another
# reason.
_NO_PROGRAM, _NOT_STARTED = 127, 128
_NO_PROGRAM_TEXTS = ("no such file or directory", "executable file not found")


class Remains:
    """Keeps the container `identity` of the step `node` on `parent`, which runs in `directory`, if it is asked to.

    `clock` gives nanoseconds since 1970. One thread reports at a time; to be closed with `close`.
    """

    def __init__(
        self,
        identity: str,
        node: Node,
        parent: State,
        *,
        store: Store,
        directory: str,
        network: Network,
        surroundings: Surroundings,
        clock: Callable[[], int],
    ) -> None:
        self._identity = identity
        self._node = node
        self._parent = parent
        self._store = store
        self._directory = directory
        self._network = network
        self._surroundings = surroundings
        self._clock = clock
        self._created_ns = clock()
        self._log: LogWriter | None = None

    def recording(self, report: Reporter) -> Reporter:
        """Return a reporter that passes everything on to `report`, and remembers what was printed."""
        log = self._log = LogWriter(os.path.join(self._directory, "log"), clock=self._clock)

        def record(event: Event) -> None:
            if isinstance(event, Output):
                log.write(event.channel, event.data)
            report(event)

        return record

    def keep(
        self,
        error: BaseException | None,
        diff_id: Digest | None,
        mounts: tuple[KeptMount, ...],
        cancellation: Cancellation,
    ) -> None:
        """Have the store keep the container, whose process made the layer `diff_id` or ended with `error`.

        One made from scratch has no image to be listed with, and one whose build is cancelled meanwhile is not kept.
        """
        if self._parent.image is None:
            return
        if error is not None:
            diff_id = self._rescue(cancellation)
        if cancellation.cancelled:
            return
        diff_ids = self._parent.diff_ids
        op = self._node.op
        self.close()
        self._store.add_container(
            Container(
                id=self._identity,
                image=self._parent.image,
                command=op.argv if isinstance(op, RunCommand) else _argv_of_nothing(self._node.created_by),
                created_ns=self._created_ns,
                finished_ns=self._clock(),
                exit_code=_exit_code(error) if isinstance(op, RunCommand) else 0,
                name=f"imagewright-{self._identity[:12]}",
                process=self._process(mounts),
                diff_ids=diff_ids if diff_id is None else (*diff_ids, diff_id),
            ),
            log=self._log.path if self._log is not None else "",
        )

    def close(self) -> None:
        """End the log; idempotent."""
        if self._log is not None:
            self._log.close()

    def _process(self, mounts: tuple[KeptMount, ...]) -> Process | None:
        op = self._node.op
        if not isinstance(op, RunCommand):
            return None
        # What is kept out of the image, the credentials of proxies, is not kept here either.
        return Process(
            env=op.env,
            user=op.user,
            workdir=op.workdir,
            network=self._network,
            mounts=mounts,
            insecure=op.insecure,
            surroundings=msgspec.to_builtins(self._surroundings),
        )

    def _rescue(self, cancellation: Cancellation) -> Digest | None:
        """Return the layer of what a failed step left, None if that is nothing."""
        # The step's error is the one to tell of: where its files cannot be kept as well, they are not.
        with suppress(ImagewrightError, OSError):
            changes = left_behind(
                self._parent.diff_ids, store=self._store, directory=self._directory, cancellation=cancellation
            )
            if changes.layer.changes:
                return self._store.add_layer_directory(
                    changes.layer, changes.directory, below=self._parent.diff_ids, cancellation=cancellation
                )
        return None


def _argv_of_nothing(created_by: str) -> tuple[str, ...]:
    """Return the command of a container in which nothing runs: the words that its history entry joins by spaces."""
    shell, _, comment = created_by.partition("#(nop) ")
    words = ("#(nop) ", comment[1:]) if comment.startswith(" ") else (f"#(nop) {comment}",)
    return (*shell.split(), *words)


def _exit_code(error: BaseException | None) -> int:
    if isinstance(error, RunFailed):
        return error.exit_code
    if isinstance(error, SystemFailure):
        return _NO_PROGRAM if any(text in str(error) for text in _NO_PROGRAM_TEXTS) else _NOT_STARTED
    return 0
