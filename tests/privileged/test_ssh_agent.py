"""RUN --mount=type=ssh with the agent and the client of OpenSSH: by a daemon, and by the command line without one."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from support.bases import busybox_base
from support.builder import Content, Member, context
from support.daemon import Daemon, daemon
from support.engines import build, reference
from support.unixhttp import request

pytestmark = pytest.mark.privileged("ssh-agent", "ssh-add", "ssh-keygen")

_SECONDS = 30.0


@dataclass(frozen=True)
class Agent:
    """An agent of this machine with one key; `socket` belongs to root, and nobody else may use it."""

    socket: str
    process: subprocess.Popen[bytes]
    public_key: str


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    # Unix socket paths are short, and a test's directory need not be.
    directory = tempfile.mkdtemp(prefix="imagewright-")
    address, key = os.path.join(directory, "agent"), os.path.join(directory, "key")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "of the tests", "-f", key], check=True)
    with subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + _SECONDS
            while not os.path.exists(address) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            environment = {**os.environ, "SSH_AUTH_SOCK": address}
            subprocess.run(["ssh-add", "-q", key], check=True, env=environment)
            os.unlink(key)
            yield Agent(address, process, Path(f"{key}.pub").read_text(encoding="utf-8"))
        finally:
            process.kill()
            shutil.rmtree(directory)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory whose `data` has the image `client:1`, which is busybox with ssh-add of this machine."""
    directory = str(tmp_path_factory.mktemp("engine"))
    with Engine(os.path.join(directory, "data")) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        tagged = BuildRequest(tags=(reference("client:1"),))
        build(engine, "FROM busybox\nCOPY root /\n", _program("ssh-add"), request=tagged)
    return directory


@pytest.fixture(scope="module")
def running(directory: str, agent: Agent) -> Iterator[Daemon]:
    gone = f"gone={agent.socket}.gone"
    options = ("--ssh-agent", agent.socket, "--ssh-agent", f"deploy={agent.socket}", "--ssh-agent", gone)
    with daemon(directory, *options) as running:
        yield running


def _program(name: str) -> dict[str, Content]:
    """Return a context in which `root` has a program of this machine, and the libraries that it is linked with."""
    path = shutil.which(name) or ""
    linked = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    files = {f"root{library}": library for library in re.findall(r"(?:^|\s)(/\S+) \(", linked)}
    files[f"root/bin/{name}"] = path
    return {where: Member(Path(there).read_bytes(), mode=0o755) for where, there in files.items()}


def said(running: Daemon, *lines: str) -> str:
    """Build `lines` on the client's image; return what comes of it, the error last."""
    dockerfile = "\n".join(["FROM client:1", *lines])
    _, body = request(running.socket, "POST", "/build?nocache=1&forcerm=1", context(f"{dockerfile}\n"))
    messages = [json.loads(line) for line in body.splitlines() if line]
    return "".join(message.get("stream") or message.get("message") or message.get("error", "") for message in messages)


def test_the_daemons_agent_answers(running: Daemon, agent: Agent) -> None:
    mount = "RUN --mount=type=ssh,required"
    assert agent.public_key in said(running, f"{mount} ssh-add -L")
    assert agent.public_key in said(running, f"{mount},id=deploy ssh-add -L")
    # One after the other, and several at the same time.
    assert said(running, f"{mount} for i in 1 2 3; do ssh-add -L & ssh-add -L; done; wait").count(agent.public_key) == 6


def test_it_is_there_for_its_step_only(running: Daemon) -> None:
    text = said(
        running, "RUN --mount=type=ssh true", "RUN ls -lR /run 2>&1; echo socket=$SSH_AUTH_SOCK; ssh-add -L || true"
    )
    assert "socket=\n" in text
    assert "ssh_agent" not in text.partition("Step 3/3")[2]
    assert "Could not open a connection to your authentication agent" in text


def test_whom_the_socket_belongs_to(running: Daemon, agent: Agent) -> None:
    look = "ls -ln $SSH_AUTH_SOCK; ssh-add -L 2>&1 || true"
    assert re.search(r"srw------- +1 0 +0 ", said(running, f"RUN --mount=type=ssh {look}"))
    theirs = said(running, "USER user", f"RUN --mount=type=ssh,uid=1000,gid=50,mode=0640,target=/tmp/a {look}")
    assert re.search(r"srw-r----- +1 1000 +50 .* /tmp/a\n", theirs)
    assert agent.public_key in theirs
    refused = said(running, "USER user", f"RUN --mount=type=ssh {look}")
    assert "Permission denied" in refused
    assert agent.public_key not in refused


def test_two_at_once(running: Daemon, agent: Agent) -> None:
    mounts = "--mount=type=ssh --mount=type=ssh,id=deploy"
    text = said(running, f"RUN {mounts} ssh-add -L; SSH_AUTH_SOCK=/run/buildkit/ssh_agent.1 ssh-add -L")
    assert text.count(agent.public_key) == 2


def test_one_that_nobody_lends(running: Daemon) -> None:
    assert "socket=\n" in said(running, "RUN --mount=type=ssh,id=other echo socket=$SSH_AUTH_SOCK")
    text = said(running, "RUN echo ran", "RUN --mount=type=ssh,id=other,required true")
    assert text == "no SSH key other forwarded from the client"  # and nothing ran before
    # An agent may come back: only the step that asks it is told.
    assert "ommunication with agent failed" in said(running, "RUN --mount=type=ssh,id=gone ssh-add -L 2>&1 || true")


def test_the_command_line_lends_its_own(directory: str, agent: Agent, running: Daemon, tmp_path: Path) -> None:
    running.process.terminate()
    assert running.process.wait(_SECONDS) == 0
    (tmp_path / "Dockerfile").write_text("FROM client:1\nRUN --mount=type=ssh,required ssh-add -L\n")
    data_root = os.path.join(directory, "data")
    program = [sys.executable, "-m", "imagewright", "build", "--no-cache", "--data-root", data_root]
    command = [*program, "--ssh", f"default={agent.socket}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
    assert agent.public_key in done.stdout
