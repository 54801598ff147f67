"""A sandbox with busybox in it, which tells what is left of the containers that it ran."""

import contextlib
import hashlib
import os
import shutil
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from imagewright.cancellation import Cancellation
from imagewright.sandbox import Channel, RunRequest, Sandbox

__all__ = ["APPLETS", "BUSYBOX", "Box", "Outcome", "make_lower"]

BUSYBOX = "/bin/busybox"
APPLETS = [
    "arping",
    "cat",
    "chmod",
    "chown",
    "dd",
    "echo",
    "env",
    "false",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "ln",
    "ls",
    "mkdir",
    "mknod",
    "mount",
    "mv",
    "nc",
    "ps",
    "pwd",
    "readlink",
    "rm",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "touch",
    "true",
    "umount",
    "unshare",
    "wget",
]


def make_lower(path: Path) -> str:
    (path / "bin").mkdir(parents=True)
    shutil.copy(BUSYBOX, path / "bin/busybox")
    for name in APPLETS:
        (path / "bin" / name).symlink_to("busybox")
    (path / "tmp").mkdir()
    (path / "tmp").chmod(0o1777)
    path.chmod(0o755)
    return str(path)


@dataclass
class Outcome:
    code: int
    upper: Path
    pieces: list[tuple[Channel, bytes]] = field(default_factory=list)

    @property
    def stdout(self) -> str:
        return b"".join(data for channel, data in self.pieces if channel == "stdout").decode()

    @property
    def stderr(self) -> str:
        return b"".join(data for channel, data in self.pieces if channel == "stderr").decode()


class Box:
    """A sandbox with busybox to run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lower = make_lower(root / "lower")
        self.sandbox = Sandbox(str(root / "state"))
        self._count = 0
        self._lock = threading.Lock()

    def request(self, *argv: str, **changes: Any) -> RunRequest:
        with self._lock:
            self._count += 1
            number = self._count
        upper = self.root / f"upper{number}"
        upper.mkdir()
        settings: dict[str, Any] = {
            "container_id": hashlib.sha256(str(number).encode()).hexdigest(),
            "argv": argv,
            "env": ("PATH=/bin", "HOME=/"),
            "lowers": (self.lower,),
            "upper": str(upper),
            "network": "none",
        }
        return RunRequest(**{**settings, **changes})

    def run(self, *argv: str, **changes: Any) -> Outcome:
        request = self.request(*argv, **changes)
        outcome = Outcome(-1, Path(request.upper))
        outcome.code = self.sandbox.run(
            request,
            output=lambda channel, data: outcome.pieces.append((channel, data)),
            cancellation=Cancellation(),
        )
        return outcome

    def shell(self, script: str, **changes: Any) -> Outcome:
        return self.run("sh", "-c", script, **changes)

    def groups(self) -> list[Path]:
        """The control groups of this sandbox's containers, in every hierarchy."""
        return [
            root / name
            for root in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir())
            if root.is_dir()
            for name in os.listdir(root)
            if f"/{name}".startswith(self.sandbox._cgroup_prefix)
        ]

    def leavings(self) -> list[str]:
        """Whatever there is on this machine that belongs to the sandbox."""
        found = []
        for name in filter(str.isdecimal, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                environment = Path(f"/proc/{name}/environ").read_bytes()
                command = Path(f"/proc/{name}/cmdline").read_bytes()
                if str(self.root).encode() in environment + command and int(name) != os.getpid():
                    found.append(f"process {name} {command!r}")
        found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.root) in line]
        found += [str(path) for path in self.groups()]
        for name in ("bundles", "runtime"):
            found += [str(path) for path in (self.root / "state" / name).glob("*")]
        return found + [str(path) for path in self.root.glob("*.work")]
