"""A real Docker engine of the test's own, to ask what it does."""

import contextlib
import glob
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from support.processes import serving

__all__ = ["Dockerd", "dockerd"]

# Own network, mount and process namespaces: the engine meets no other, and with its first process go all its mounts,
# shims and containers, however it ends.
_ISOLATED = ("unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

# containerd makes a directory of its own in /opt, which no test should leave there.
_PREPARE = 'ip link set lo up; mount -t tmpfs none /opt; exec "$@"'


@dataclass(frozen=True)
class Dockerd:
    """A running engine; `socket` is the path of its unix socket, `process` the one all of its descend from.

    `pid` is the process whose network is the engine's.
    """

    socket: str
    data_root: str
    process: subprocess.Popen[bytes]
    pid: int

    @property
    def host(self) -> str:
        """The address as DOCKER_HOST has it."""
        return f"unix://{self.socket}"

    def docker(self, *arguments: str, data: bytes | None = None, check: bool = True) -> bytes:
        """Run the docker program against the engine, with the classic builder; return what it printed."""
        result = subprocess.run(
            ["docker", "--host", self.host, *arguments],
            input=data,
            stdin=subprocess.DEVNULL if data is None else None,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": self.data_root, "DOCKER_BUILDKIT": "0"},
            check=False,
        )
        if check and result.returncode:
            raise RuntimeError(f"docker {' '.join(arguments)}: {result.stderr.decode(errors='replace')}")
        return result.stdout


@contextlib.contextmanager
def dockerd(directory: str, *arguments: str) -> Iterator[Dockerd]:
    """Run an engine with its data below `directory` until the block ends, when its data is removed.

    Needs root, dockerd and util-linux's unshare; RUN works, and reaches no network but its own.
    """
    # Unix socket paths are short, and a test's directory need not be.
    runtime = tempfile.mkdtemp(prefix="dockerd-")
    data_root = os.path.join(directory, "dockerd")
    socket = os.path.join(runtime, "engine.sock")
    group = f"/{os.path.basename(runtime)}"
    os.makedirs(data_root, exist_ok=True)
    command = (
        *_ISOLATED,
        *("sh", "-c", _PREPARE, "sh", "dockerd"),
        *("--host", f"unix://{socket}", "--data-root", data_root, "--exec-root", os.path.join(runtime, "exec")),
        *("--pidfile", os.path.join(runtime, "pid"), "--cgroup-parent", group, *arguments),
    )
    try:
        with serving(command, socket=socket, log=os.path.join(directory, "dockerd.log")) as unshare:
            try:
                yield Dockerd(socket, data_root, unshare, _children(unshare.pid)[0])
            finally:
                _kill_child(unshare.pid)
    finally:
        _remove_cgroups(group)
        shutil.rmtree(runtime, ignore_errors=True)
        shutil.rmtree(data_root, ignore_errors=True)


def _kill_child(pid: int) -> None:
    """Kill the first process of the namespaces, whose parent `pid` then ends when all in them is gone.

    The engine is not asked to stop: its data goes with it.
    """
    for child in _children(pid):
        os.kill(child, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
        return [int(child) for child in children.read().split()]


def _remove_cgroups(group: str) -> None:
    for top in glob.glob(f"/sys/fs/cgroup/*{group}") + glob.glob(f"/sys/fs/cgroup{group}"):
        for path, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
