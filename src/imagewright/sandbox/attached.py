"""A container whose process has the caller's own input and output, such as a terminal."""

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence

from imagewright.errors import Cancelled, SystemFailure
from imagewright.sandbox.bundle import Bundle
from imagewright.sandbox.cgroups import Hierarchies
from imagewright.sandbox.container import StopSignal, leave_host_mounts
from imagewright.sandbox.kernel import become_subreaper
from imagewright.sandbox.overlay import unmount_overlay
from imagewright.sandbox.runtime import failure_text

__all__ = ["AttachedContainer", "Attachment", "detached"]

_PAUSE_MS = 5
_SIGNALLED = 128


class Attachment:
    """Gives a container's process the descriptors `streams` of this process: input, output, errors.

    They may be a terminal. That is not the container's controlling terminal, so nothing in there can put words into it
    (TIOCSTI of ioctl_tty(2)), and keys that send signals do that to this process: `interrupt` passes an interrupt on.
    """

    def __init__(self, streams: tuple[int, int, int] = (0, 1, 2)) -> None:
        self.streams = streams
        self._send: Callable[[], None] | None = None

    def interrupt(self) -> None:
        """Send SIGINT to every process of the container, if it runs; may be called by the handler of a signal."""
        if self._send is not None:
            self._send()

    @contextlib.contextmanager
    def bound(self, send: Callable[[], None]) -> Iterator[None]:
        """Let `interrupt` call `send` until the context ends."""
        self._send = send
        try:
            yield
        finally:
            self._send = None


def detached(arguments: Sequence[str]) -> list[str]:
    """Return what `run_arguments` returned such that it ends when the container has started, which has its streams."""
    at = arguments.index("run", 1) + 1
    return [*arguments[:at], "--detach", *arguments[at:]]


class AttachedContainer:
    """Runs the command of a `bundle` in a thread whose mounts are its own, with the streams of an `Attachment`.

    The runtime lets the container go as soon as it has started, since one that stays would put pipes between; this
    process is made the one to which such orphans come.
    """

    def __init__(self, bundle: Bundle, hierarchies: Hierarchies, cgroup: str, stop: StopSignal) -> None:
        self._bundle = bundle
        self._hierarchies = hierarchies
        self._cgroup = cgroup
        self._stop = stop
        self._exit_code = -1
        self._error: BaseException | None = None

    def run(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        prepare: Callable[[], None],
        attachment: Attachment,
    ) -> int:
        """Call `prepare` (in a thread whose mounts are its own), run `command`; return its process's exit code.

        `command` is what `run_arguments` returns.
        Raises `Cancelled` after a stop, and `SystemFailure` for a process that never started.
        """

        def guard() -> None:
            try:
                self._guard(command, environment, prepare, attachment)
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                self._error = error

        thread = threading.Thread(target=guard, name="imagewright-attached")
        with attachment.bound(lambda: self._hierarchies.signal(self._cgroup, signal.SIGINT)):
            thread.start()
            thread.join()
        if self._stop.stopped:
            raise Cancelled("Cancelled")
        if self._error is not None:
            raise self._error
        return self._exit_code

    def _guard(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        prepare: Callable[[], None],
        attachment: Attachment,
    ) -> None:
        leave_host_mounts()
        prepare()
        if self._stop.stopped:
            return
        become_subreaper()
        try:
            code = os.waitstatus_to_exitcode(self._wait(self._start(detached(command), environment, attachment)))
            self._exit_code = code if code >= 0 else _SIGNALLED - code
        finally:
            unmount_overlay(self._bundle.rootfs)

    def _start(self, command: Sequence[str], environment: dict[str, str], attachment: Attachment) -> int:
        """Return the id of the container's process, which runs."""
        stdin, stdout, stderr = attachment.streams
        try:
            started = subprocess.run(
                command,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd="/",
                start_new_session=True,
                check=False,
            )
        except OSError as error:
            raise SystemFailure(f"the OCI runtime cannot be started: {error.strerror}") from error
        if started.returncode or not self._bundle.started:
            raise SystemFailure(failure_text(self._bundle.log(), self._bundle.directory))
        with open(f"{self._bundle.directory}/pid", encoding="ascii") as file:
            return int(file.read())

    def _wait(self, pid: int) -> int:
        """Wait for the process, and kill everything as soon as that is asked for; return its wait status."""
        ended = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(self._stop.descriptor, select.POLLIN)
            if not any(descriptor == ended for descriptor, _ in poll.poll()):
                poll.unregister(self._stop.descriptor)
                while True:
                    self._hierarchies.kill(self._cgroup)
                    if poll.poll(_PAUSE_MS):
                        break
            return os.waitpid(pid, 0)[1]
        finally:
            os.close(ended)
