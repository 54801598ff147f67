"""One container from its start to its end: the process, its output, its violent death."""

import os
import select
import selectors
import subprocess
import threading
from collections.abc import Callable, Sequence

from imagewright.errors import Cancelled, SystemFailure
from imagewright.sandbox.bundle import Bundle
from imagewright.sandbox.cgroups import Hierarchies
from imagewright.sandbox.kernel import CLONE_FS, CLONE_NEWNS, MS_REC, MS_SLAVE, mount, unshare
from imagewright.sandbox.overlay import unmount_overlay
from imagewright.sandbox.request import Channel, OutputSink
from imagewright.sandbox.runtime import failure_text

__all__ = ["Container", "StopSignal", "leave_host_mounts"]

_PIECE = 1 << 16
# How often a killed container is looked at, and when its runtime is killed too, which may be about to start a process.
_PAUSE_MS = 5
_ROUNDS_BEFORE_FORCE = 40
# How often it is looked whether the process has started, while something waits for that.
_START_POLL = 0.005


class StopSignal:
    """Wakes the thread that guards a container; may be set from any thread, also after `close`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.stopped = False

    def set(self) -> None:
        """Ask for the end of the container; idempotent."""
        with self._lock:
            self.stopped = True
            if self.descriptor >= 0:
                os.eventfd_write(self.descriptor, 1)

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        with self._lock:
            if self.descriptor >= 0:
                os.close(self.descriptor)
                self.descriptor = -1


class Container:
    """Runs the command of a `bundle`, in a thread whose mounts are its own.

    That thread mounts, starts the runtime and guards it; the thread that calls `run` passes the output on. So a reader
    that blocks does not keep anybody from killing the container, and the mounts vanish with the thread or with the
    process, however either ends.
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
        output: OutputSink,
    ) -> int:
        """Call `prepare` (in a thread whose mounts are its own), run `command` and return its exit code.

        Raises what `output` raised, `Cancelled` after a stop, and `SystemFailure` for a process that never started.
        """
        stdout, stdout_writer = os.pipe()
        stderr, stderr_writer = os.pipe()

        def guard() -> None:
            try:
                self._guard(command, environment, prepare, (stdout_writer, stderr_writer))
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                self._error = error

        thread = threading.Thread(target=guard, name=f"imagewright-run-{os.path.basename(self._bundle.directory)[:12]}")
        thread.start()
        try:
            self._pump({stdout: "stdout", stderr: "stderr"}, output)
        except BaseException:
            self._stop.set()
            raise
        finally:
            # Whoever still writes gets a broken pipe instead of waiting for a reader that has gone.
            os.close(stdout)
            os.close(stderr)
            thread.join()
        return self._outcome()

    def _outcome(self) -> int:
        if self._stop.stopped:
            raise Cancelled("Build cancelled")
        if self._error is not None:
            raise self._error
        if not self._bundle.started:
            raise SystemFailure(failure_text(self._bundle.log(), self._bundle.directory))
        if self._exit_code < 0:
            raise SystemFailure(f"the container's runtime was killed by signal {-self._exit_code}")
        return self._exit_code

    def _guard(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        prepare: Callable[[], None],
        writers: tuple[int, int],
    ) -> None:
        try:
            leave_host_mounts()
            prepare()
            if self._stop.stopped:
                return
            process = _start(command, environment, writers)
        finally:
            for writer in writers:
                os.close(writer)
        try:
            self._exit_code = self._wait(process)
        finally:
            unmount_overlay(self._bundle.rootfs)

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        """Wait for the runtime, and kill everything as soon as that is asked for."""
        ended = os.pidfd_open(process.pid)
        try:
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            poll.register(self._stop.descriptor, select.POLLIN)
            if any(descriptor == ended for descriptor, _ in poll.poll()):
                return process.wait()
            poll.unregister(self._stop.descriptor)
            for rounds in range(1 << 30):
                # Again and again: the runtime may be just about to put the first process into the group.
                self._hierarchies.kill(self._cgroup)
                if rounds == _ROUNDS_BEFORE_FORCE:
                    process.kill()
                if poll.poll(_PAUSE_MS):
                    break
            return process.wait()
        finally:
            os.close(ended)

    def _pump(self, channels: dict[int, Channel], output: OutputSink) -> None:
        """Pass on what comes until both pipes end.

        The runtime complains on the same stderr, and only before the process starts: until then stderr is held back,
        and dropped if the process never starts.
        """
        held: list[bytes] = []
        started = False
        with selectors.DefaultSelector() as selector:
            for descriptor, channel in channels.items():
                selector.register(descriptor, selectors.EVENT_READ, channel)
            while selector.get_map():
                for key, _ in selector.select(_START_POLL if held else None):
                    data = os.read(key.fd, _PIECE)
                    if not data:
                        selector.unregister(key.fd)
                    elif key.data == "stderr" and not started:
                        held.append(data)
                    else:
                        output(key.data, data)
                if held and self._bundle.started:
                    started = True
                    output("stderr", b"".join(held))
                    held.clear()


def leave_host_mounts() -> None:
    """Give the calling thread mounts and a working directory of its own."""
    try:
        unshare(CLONE_NEWNS | CLONE_FS)
        # What the host mounts later is seen here; what is mounted here is seen by nobody else.
        mount("", "/", flags=MS_REC | MS_SLAVE)
    except OSError as error:
        raise SystemFailure(f"a mount namespace cannot be made: {error.strerror}") from error


def _start(command: Sequence[str], environment: dict[str, str], writers: tuple[int, int]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=writers[0],
            stderr=writers[1],
            env=environment,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise SystemFailure(f"the OCI runtime cannot be started: {error.strerror}") from error
