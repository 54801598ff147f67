"""Who builds: imagewright, dockerd's classic builder, BuildKit in the same dockerd, and podman.

imagewright and the classic builder are asked through their API by this process. BuildKit needs a client that serves
it a session, so it is asked by Docker's own program, whose start is part of what it takes. podman has no daemon.
"""

import contextlib
import http.client
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from trees import Context

from support.bases import busybox_base
from support.daemon import Daemon, daemon
from support.dockerd import Dockerd, dockerd
from support.unixhttp import UnixConnection, request

__all__ = ["BuildKit", "Engine", "Peer", "Peers", "Podman", "peers"]

# No build takes as long on a machine that can run all of this in its time.
_TIMEOUT = 240


class Peer(Protocol):
    """Who can build."""

    @property
    def name(self) -> str:
        """Who it is."""

    def build(self, context: Context, tag: str, *, cache: bool = False, network: str = "none") -> None:
        """Build `context` as `tag`; raise where it fails."""


@dataclass(frozen=True)
class Engine:
    """An engine behind the Docker API at the unix socket `socket`; `root` is the process all of its descend from."""

    name: str
    socket: str
    root: int

    def build(self, context: Context, tag: str, *, cache: bool = False, network: str = "none") -> None:
        """Build through the API, the context sent with as little work of this process as can be."""
        parameters = f"rm=1&t={tag}&networkmode={network}" + ("" if cache else "&nocache=1")
        answer = self._send(f"/build?{parameters}", context.tar)
        if b"Successfully tagged" not in answer:
            raise RuntimeError(answer[-2000:].decode(errors="replace"))

    def load(self, archive: Path) -> None:
        """Load a docker-archive."""
        self._send("/images/load?quiet=1", archive)

    def save(self, tag: str, target: Path) -> None:
        """Write the image as a docker-archive to `target`."""
        connection = UnixConnection(self.socket, timeout=_TIMEOUT)
        connection.request("GET", f"/images/{quote(tag)}/get")
        response = connection.getresponse()
        if response.status != http.client.OK:
            raise RuntimeError(response.read().decode(errors="replace"))
        with target.open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
        connection.close()

    def push(self, tag: str) -> None:
        """Push the image."""
        repository, _, name = tag.rpartition(":")
        self._ask("POST", f"/images/{repository}/push?tag={name}")

    def pull(self, tag: str) -> None:
        """Pull the image."""
        repository, _, name = tag.rpartition(":")
        self._ask("POST", f"/images/create?fromImage={quote(repository)}&tag={name}")

    def remove(self, tag: str) -> None:
        """Remove the image with its layers."""
        self._ask("DELETE", f"/images/{tag}?force=1")

    def import_base(self, tar: bytes, repository: str) -> None:
        """Make an image of a file system."""
        status, answer = request(self.socket, "POST", f"/images/create?fromSrc=-&repo={repository}&tag=1", tar)
        if status != http.client.OK or b"errorDetail" in answer:
            raise RuntimeError(answer.decode(errors="replace"))

    def _ask(self, method: str, target: str) -> None:
        connection = UnixConnection(self.socket, timeout=_TIMEOUT)
        connection.request(method, target, headers={"X-Registry-Auth": "e30="})
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        if response.status != http.client.OK or b"errorDetail" in answer:
            raise RuntimeError(answer[-500:].decode(errors="replace"))

    def _send(self, target: str, path: Path) -> bytes:
        connection = UnixConnection(self.socket, timeout=_TIMEOUT)
        with path.open("rb") as file:
            connection.putrequest("POST", target)
            connection.putheader("Content-Type", "application/x-tar")
            connection.putheader("Content-Length", str(path.stat().st_size))
            connection.endheaders()
            connection.sock.sendfile(file)
            response = connection.getresponse()
            answer = response.read()
        connection.close()
        if response.status != http.client.OK or b"errorDetail" in answer:
            raise RuntimeError(answer[-2000:].decode(errors="replace"))
        return answer


@dataclass(frozen=True)
class BuildKit:
    """BuildKit in the dockerd at `host`."""

    host: str
    home: str
    name: str = "BuildKit"

    @property
    def program(self) -> str:
        """Docker's own program, the system's where there are several."""
        return "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"

    def command(self, tag: str, *, cache: bool, network: str) -> list[str]:
        """Return the command that builds the tar on its standard input."""
        words = [self.program, "--host", self.host, "build", "--progress=plain", "--network", network, "-t", tag]
        return [*words, *([] if cache else ["--no-cache"]), "-"]

    def environment(self) -> dict[str, str]:
        """Return the environment of the command."""
        return {"PATH": os.environ["PATH"], "HOME": self.home, "DOCKER_BUILDKIT": "1"}

    def build(self, context: Context, tag: str, *, cache: bool = False, network: str = "none") -> None:
        """Build with Docker's program."""
        with context.tar.open("rb") as tar:
            _run(self.command(tag, cache=cache, network=network), stdin=tar, environment=self.environment())


@dataclass(frozen=True)
class Podman:
    """podman with a storage of its own, in the network that the process `pid` is in."""

    directory: Path
    pid: int
    name: str = "podman"

    def command(self, *arguments: str, inside: bool = True) -> list[str]:
        """Return the command of a podman with `arguments`."""
        places = ("--root", str(self.directory / "root"), "--runroot", str(self.directory / "run"))
        choices = ("--storage-driver", "overlay", "--cgroup-manager", "cgroupfs")
        namespaces = ("nsenter", "-t", str(self.pid), "-n", "--") if inside else ()
        return [*namespaces, "podman", *places, *choices, *arguments]

    def build(self, context: Context, tag: str, *, cache: bool = False, network: str = "none") -> None:
        """Build the directory of the context."""
        choices = ["--network", network] if network != "default" else []
        caching = ["--layers"] if cache else ["--layers", "--no-cache"]
        _run(self.command("build", "--pull=never", *choices, *caching, "-t", tag, str(context.tree)))

    def load(self, archive: Path) -> None:
        """Load a docker-archive."""
        _run(self.command("load", "-q", "-i", str(archive)))

    def save(self, tag: str, target: Path) -> None:
        """Write the image as a docker-archive to `target`."""
        _run(self.command("save", "-q", "-o", str(target), tag))

    def push(self, tag: str) -> None:
        """Push the image to a registry of this machine."""
        _run(self.command("push", "-q", "--tls-verify=false", tag, inside=False))

    def pull(self, tag: str) -> None:
        """Pull the image from a registry of this machine."""
        _run(self.command("pull", "-q", "--tls-verify=false", tag, inside=False))

    def remove(self, tag: str) -> None:
        """Remove the image with its layers."""
        _run(self.command("rmi", "--force", tag))


@dataclass(frozen=True)
class Peers:
    """All who build, and the processes behind them."""

    ours: Engine
    classic: Engine
    buildkit: BuildKit
    podman: Podman | None
    daemon: Daemon
    dockerd: Dockerd

    @property
    def builders(self) -> dict[str, Peer]:
        """All by their names, imagewright first."""
        everyone: list[Peer | None] = [self.ours, self.classic, self.buildkit, self.podman]
        return {peer.name: peer for peer in everyone if peer}


@contextlib.contextmanager
def peers(directory: Path, *, podman: bool = True) -> Iterator[Peers]:
    """Start all of them with storages below `directory`, each with a busybox as `base:1`.

    podman is None where it is not wanted, or there is no such program.
    """
    os.makedirs(directory / "home", exist_ok=True)
    with _kept(directory / "docker") as docker, daemon(str(directory)) as server, _network() as pid:
        ours = Engine("imagewright", server.socket, server.process.pid)
        classic = Engine("classic", docker.socket, docker.process.pid)
        last = Podman(directory / "podman", pid) if podman and shutil.which("podman") else None
        base = busybox_base()
        ours.import_base(base, "base")
        classic.import_base(base, "base")
        if last:
            tar = directory / "base.tar"
            tar.write_bytes(base)
            _run(last.command("import", str(tar), "base:1"))
        yield Peers(ours, classic, BuildKit(docker.host, str(directory / "home")), last, server, docker)


@contextlib.contextmanager
def _kept(directory: Path) -> Iterator[Dockerd]:
    directory.mkdir()
    with dockerd(str(directory)) as docker:
        yield docker


@contextlib.contextmanager
def _network() -> Iterator[int]:
    """Yield a process in a network of its own, which podman may fill with bridges."""
    command = ["unshare", "--net", "sh", "-c", "ip link set lo up; echo; exec sleep infinity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is not None:
                process.stdout.readline()
            yield process.pid
        finally:
            process.kill()


def _run(command: list[str], *, stdin: object = None, environment: dict[str, str] | None = None) -> None:
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            stdin=stdin or subprocess.DEVNULL,  # type: ignore[call-overload]
            stdout=output,
            stderr=output,
            env=environment,
            check=False,
            timeout=_TIMEOUT,
        )
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{command[0]}: {output.read()[-2000:].decode(errors='replace')}")
