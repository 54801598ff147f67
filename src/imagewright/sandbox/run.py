"""Running one process on top of layer directories."""

import contextlib
import os
import posixpath
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from types import TracebackType
from typing import Self

from imagewright.cancellation import Cancellation
from imagewright.errors import Conflict, InvalidInput, RunFailed, SystemFailure
from imagewright.sandbox.attached import AttachedContainer, Attachment
from imagewright.sandbox.bundle import Bundle
from imagewright.sandbox.cgroups import Hierarchies, find_hierarchies
from imagewright.sandbox.container import Container, StopSignal
from imagewright.sandbox.kernel import restrict_thread
from imagewright.sandbox.limits import clean_parent, possible_limits
from imagewright.sandbox.mount_points import MountPoints
from imagewright.sandbox.mounting import check_mounts, make_private, make_targets, prepare_mounts
from imagewright.sandbox.network_pool import NetworkPool
from imagewright.sandbox.overlay import (
    check_working_directory,
    give_root_metadata,
    make_mount_points,
    mount_overlay,
)
from imagewright.sandbox.recovery import end_processes
from imagewright.sandbox.request import OutputSink, RunRequest
from imagewright.sandbox.runtime import environment, find_runtime, inherited_filter, keeps_cgroups, run_arguments
from imagewright.sandbox.spec import ContainerMount

__all__ = ["Sandbox"]

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
# execve(2): one string has at most 32 pages, its end included, and all of them, each with a pointer, 6 MiB.
_LONGEST_ARGUMENT = (128 << 10) - 1
_MOST_ARGUMENTS = 6 << 20
_ARGUMENT_COST = 1 + 8


class Sandbox:
    """Runs processes in containers whose leavings are all below `state_root` (absolute, made 0700 if missing).

    Safe to use from many threads; one process per `state_root`. `runtime` is the name or path of an OCI runtime.
    Looks for nothing on construction: a missing runtime is a `SystemFailure` of `run` and a finding of `probe`.
    """

    def __init__(self, state_root: str, *, runtime: str | None = None) -> None:
        self._state_root = os.path.realpath(state_root)
        self._runtime = runtime
        self._environment = environment(self._state_root)
        # With the state root in it, so that two engines on one machine do not kill each other's containers; and without
        # a group for all of them, which nobody could remove while another engine is making its own in it.
        self._cgroup_prefix = f"/imagewright-{sha256(os.fsencode(self._state_root)).hexdigest()[:12]}-"
        self._hierarchies: Hierarchies | None = None
        self._networks = NetworkPool(self._environment)
        self._mount_points = MountPoints(f"{self._state_root}/mount-points")
        self._keeping: dict[str, bool] = {}
        self._lock = threading.Lock()

    def run(self, request: RunRequest, *, output: OutputSink | Attachment, cancellation: Cancellation) -> int:
        """Run `request` to its end and return the exit code (128 + n if signal n killed it).

        `output` is called in the calling thread, unless it is this process's own streams. When this returns or raises,
        no process, mount, cgroup or file of the container is left but `request.upper`, and perhaps a network helper
        that has been killed; a few empty mount points stay for containers to come, until `close`.

        Raises `Cancelled` when cancelled, what `output` raised (the container is killed first), `SystemFailure` with
        the engine's text if the process cannot be started or a limit cannot be set here, `InvalidInput` for a request
        that is refused, and `RunFailed`, which says so, if the exit code is not zero and processes were killed for the
        memory limit.
        """
        cancellation.check()
        cwd = _check(request)
        request = replace(request, limits=possible_limits(request.limits, self._find_hierarchies()))
        runtime = find_runtime(self._runtime)
        program = None if request.insecure else inherited_filter(runtime)
        stop = StopSignal()
        forget = cancellation.on_cancel(stop.set)
        try:
            with contextlib.ExitStack() as stack:
                bundle = stack.enter_context(self._bundle(request.container_id))
                work = stack.enter_context(_work_directory(request))
                cgroup = stack.enter_context(self._cgroup(request))
                network = None
                if request.network == "default":
                    network = stack.enter_context(self._networks.take())
                give_root_metadata(request.upper, request.lowers, request.root)
                bundle.write_cgroup(cgroup)
                container = Container(bundle, self._find_hierarchies(), cgroup, stop)

                def prepare() -> None:
                    make_private(bundle.private)
                    bundle.write(request)
                    mount_points, mounts = self._make_mounts(bundle, request, stack)
                    namespace = network.path if network else ""
                    bundle.write_configuration(
                        request,
                        cwd=cwd,
                        cgroup=cgroup,
                        network_namespace=namespace,
                        filtered=bool(program),
                        mounts=mounts,
                    )
                    lowers = (mount_points, *request.lowers)
                    mount_overlay(bundle.links, bundle.rootfs, lowers, request.upper, work)
                    check_working_directory(bundle.rootfs, cwd)
                    if network is not None:
                        network.wait_ready(stop.descriptor)
                    _restrict(program)

                limit = request.limits.memory
                keep = limit > 0 and self._keeps_cgroups(runtime)
                command = run_arguments(
                    runtime, bundle.directory, request.container_id, configuration=bundle.private, keep=keep
                )
                if isinstance(output, Attachment):
                    attached = AttachedContainer(bundle, self._find_hierarchies(), cgroup, stop)
                    return attached.run(command, self._environment, prepare, output)
                exit_code = container.run(command, self._environment, prepare, output)
                if exit_code and keep:
                    self._check_memory(cgroup, limit, exit_code)
                return exit_code
        finally:
            forget()
            stop.close()

    def _check_memory(self, cgroup: str, limit: int, exit_code: int) -> None:
        """Raise `RunFailed` if processes were killed for the memory limit."""
        if self._find_hierarchies().memory_kills(cgroup):
            raise RunFailed(
                f"a process was killed because the memory limit of {limit} bytes was reached", exit_code=exit_code
            )

    @contextlib.contextmanager
    def _bundle(self, container_id: str) -> Iterator[Bundle]:
        """Make the container's directory, and remove it at the end."""
        directory = f"{self._state_root}/bundles/{container_id}"
        try:
            os.makedirs(f"{self._state_root}/bundles", 0o700, exist_ok=True)
            os.chmod(self._state_root, 0o700)
            os.mkdir(directory, 0o700)
        except FileExistsError:
            raise Conflict(f"container {container_id[:12]} is running already") from None
        except OSError as error:
            raise SystemFailure(f"the sandbox cannot make its directories: {error.strerror}") from error
        try:
            yield Bundle(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def _make_mounts(
        self, bundle: Bundle, request: RunRequest, stack: contextlib.ExitStack
    ) -> tuple[str, tuple[ContainerMount, ...]]:
        """Make what is mounted besides the image, and return it after the directory of its mount points.

        The calling thread's mounts are its own. Raises `InvalidInput` for a request that is refused.
        """
        if not request.mounts:
            return stack.enter_context(self._mount_points.shared(request.lowers)), ()
        make_mount_points(bundle.mount_points, request.lowers)
        prepared = prepare_mounts(request.mounts, private=bundle.private, directory=bundle.directory, stack=stack)
        make_targets(bundle.mount_points, request.root, prepared)
        return bundle.mount_points, tuple(item.mount for item in prepared)

    @contextlib.contextmanager
    def _cgroup(self, request: RunRequest) -> Iterator[str]:
        """Yield the name of the container's control group, and see that it is gone at the end."""
        cgroup = clean_parent(request.limits.cgroup_parent) + self._cgroup_prefix + request.container_id
        try:
            yield cgroup
        finally:
            self._find_hierarchies().remove(cgroup)

    def _find_hierarchies(self) -> Hierarchies:
        if self._hierarchies is None:
            self._hierarchies = find_hierarchies()
        return self._hierarchies

    def recover(self) -> None:
        """Remove what a killed process left below `state_root`: containers, cgroups, helpers, files. Idempotent.

        Call it before the first `run`. What lies beside a layer that was being made belongs to the layer's owner.
        Raises `SystemFailure` if something cannot be ended.
        """
        hierarchies = self._find_hierarchies()
        # The runtime first, or it would go on making the container whose processes are being killed.
        ended = end_processes(self._state_root)
        groups = hierarchies.find(self._cgroup_prefix) | self._groups_elsewhere()
        if not ended or not all(map(hierarchies.remove, groups)):
            raise SystemFailure("a container of an earlier run cannot be ended")
        shutil.rmtree(f"{self._state_root}/bundles", ignore_errors=True)
        self._mount_points.clear()

    def _groups_elsewhere(self) -> set[str]:
        """Return the control groups of left-over bundles, which need not be where `Hierarchies.find` looks."""
        groups = set()
        with contextlib.suppress(FileNotFoundError):
            for container_id in os.listdir(f"{self._state_root}/bundles"):
                group = Bundle(f"{self._state_root}/bundles/{container_id}").cgroup()
                if group.endswith(self._cgroup_prefix + container_id):
                    groups.add(group)
        return groups

    def _keeps_cgroups(self, runtime: str) -> bool:
        with self._lock:
            if runtime not in self._keeping:
                self._keeping[runtime] = keeps_cgroups(runtime)
            return self._keeping[runtime]

    @property
    def runtime(self) -> str:
        """The name of the OCI runtime that RUN uses; `runc` where none is installed yet."""
        try:
            return os.path.basename(find_runtime(self._runtime))
        except SystemFailure:
            return self._runtime or "runc"

    def close(self) -> None:
        """End the network helpers and wait for them, remove what is shared; no `run` may be under way. Idempotent."""
        self._networks.close()
        self._mount_points.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _check(request: RunRequest) -> str:
    """Return the working directory in its shortest spelling; raise `InvalidInput` for what cannot be run."""
    if not _CONTAINER_ID.fullmatch(request.container_id):
        raise InvalidInput("a container id is 64 hexadecimal digits")
    if not request.argv:
        raise InvalidInput("No command specified")
    if request.network not in {"default", "none", "host"}:
        raise InvalidInput(f"network {request.network} not found")
    if request.shm_size < 0:
        raise InvalidInput("SHM size can not be less than 0")
    if not request.cwd.startswith("/"):
        raise InvalidInput(f"the working directory {request.cwd!r} is not absolute")
    check_mounts(request.mounts)
    for text in (*request.argv, *request.env, *request.secret_env, request.cwd):
        if "\0" in text:
            raise InvalidInput("a command, its environment and its working directory cannot hold NUL characters")
    _check_size(request)
    if request.limits.cpu_shares < 0:
        raise InvalidInput("shares: invalid argument")
    clean_parent(request.limits.cgroup_parent)
    return posixpath.normpath(f"/{request.cwd.lstrip('/')}")


def _check_size(request: RunRequest) -> None:
    """Raise `InvalidInput` for a command that the kernel takes from nobody: the runtime's text names no reason."""
    sizes = [
        len(text.encode("utf-8", "surrogateescape")) for text in (*request.argv, *request.env, *request.secret_env)
    ]
    if max(sizes) > _LONGEST_ARGUMENT:
        raise InvalidInput(
            f"argument list too long: an argument or variable of {max(sizes)} bytes, at most {_LONGEST_ARGUMENT} can be"
        )
    if sum(sizes) + _ARGUMENT_COST * len(sizes) > _MOST_ARGUMENTS:
        raise InvalidInput(f"argument list too long: {len(sizes)} arguments and variables of {sum(sizes)} bytes")


def _restrict(program: bytes | None) -> None:
    try:
        if program is not None:
            restrict_thread(program)
    except OSError as error:
        raise SystemFailure(f"the system-call filter of a RUN cannot be set: {error.strerror}") from error


@contextlib.contextmanager
def _work_directory(request: RunRequest) -> Iterator[str]:
    """Yield the work directory of overlayfs, on the filesystem of `upper`, and remove what was made of it."""
    work = request.work or f"{request.upper}.work"
    if not request.work:
        try:
            os.mkdir(work, 0o700)
        except OSError as error:
            raise SystemFailure(f"the sandbox cannot make its directories: {error.strerror}") from error
    try:
        yield work
    finally:
        _remove_work(work)


def _remove_work(work: str) -> None:
    """Remove the work directory of an overlay that is mounted no more, and with it what the kernel left there."""
    with contextlib.suppress(OSError):
        for name in ("/work/incompat/volatile", "/work/incompat", "/work", ""):
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(work + name)
        return
    shutil.rmtree(work, ignore_errors=True)
