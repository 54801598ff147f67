"""`imagewright debug`: a shell where a step failed."""

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import imagewright
from imagewright.engine import BuildRequest, Engine
from imagewright.errors import RunFailed
from support.bases import busybox_base
from support.builder import context
from support.daemon import daemon
from support.engines import cgroups, leftovers, processes, reference

pytestmark = pytest.mark.privileged

DOCKERFILE = """\
FROM busybox
ENV A=b
ARG Q=1
WORKDIR /w
USER user:staff
RUN echo left > /tmp/left; exit 3
"""
_SECONDS = 30.0
_SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))


class Failed:
    """A data root in which a step has failed, and the program to look at it."""

    def __init__(self, data_root: str, container: str) -> None:
        self.data_root = data_root
        self.container = container
        self.environment = {**os.environ, "PYTHONPATH": _SOURCES, "TERM": "vt220"}

    def command(self, *arguments: str) -> list[str]:
        name = [self.container[:12]] if "--" in arguments or not arguments else []
        return [sys.executable, "-m", "imagewright", "debug", "--data-root", self.data_root, *name, *arguments]

    def run(self, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*arguments), input=data, capture_output=True, env=self.environment, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failed]:
    data_root = str(tmp_path_factory.mktemp("engine"))
    with Engine(data_root) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        with pytest.raises(RunFailed):
            engine.build(io.BytesIO(context(DOCKERFILE)), BuildRequest(network_mode="none"))
        (container,) = engine.containers()
    yield Failed(data_root, container.id)
    assert leftovers(data_root) == []
    assert cgroups(data_root) == []


def test_a_command_sees_what_the_step_saw_and_left(failed: Failed) -> None:
    script = "cat /tmp/left; id -un; pwd; echo $A $Q $HOME $HOSTNAME; ip -o link | wc -l; cat; touch /tmp/new; exit 5"
    result = failed.run("--", "sh", "-c", script, data=b"from here\n")
    assert (result.returncode, result.stderr) == (5, b"")
    assert result.stdout.decode() == f"left\nuser\n/w\nb 1 /home/user {failed.container[:12]}\n1\nfrom here\n"
    again = failed.run("--", "ls", "/tmp")
    assert again.stdout == b"left\n"


def test_a_shell_reads_what_is_piped_to_it(failed: Failed) -> None:
    result = failed.run(data=b"echo one\nfalse && echo two\nexit 7\n")
    assert (result.returncode, result.stdout) == (7, b"one\n")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nope",), 1, "No such container: nope"),
        (("--", "/nope"), 1, "/nope: no such file or directory"),
    ],
)
def test_what_goes_wrong(failed: Failed, arguments: tuple[str, ...], code: int, text: str) -> None:
    result = failed.run(*arguments)
    assert result.returncode == code
    assert text in result.stderr.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_everything(failed: Failed, number: signal.Signals) -> None:
    script = "trap '' INT TERM HUP; echo on; setsid sleep 4246 & sleep 4246"
    with subprocess.Popen(
        failed.command("--", "sh", "-c", script), stdout=subprocess.PIPE, env=failed.environment
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"on\n"
        program.send_signal(number)
        assert program.wait(_SECONDS) == 130
    assert not [line for line in processes() if "sleep 4246" in line]
    assert leftovers(failed.data_root) == []


class Terminal:
    """A terminal at which the program runs, in a session of its own."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self.master, slave = pty.openpty()
        self.shown = ""
        try:
            self.program = subprocess.Popen(
                ["setsid", "--ctty", "--wait", *command], stdin=slave, stdout=slave, stderr=slave, env=environment
            )
        finally:
            os.close(slave)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def expect(self, text: str) -> None:
        """Wait until `text` is shown; what comes before is forgotten."""
        deadline = time.monotonic() + _SECONDS
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 1 << 16).decode()
        self.shown = self.shown.partition(text)[2]

    def close(self) -> None:
        self.program.kill()
        self.program.wait()
        os.close(self.master)


def test_a_shell_at_a_terminal(failed: Failed) -> None:
    terminal = Terminal(failed.command(), failed.environment)
    try:
        terminal.expect("$ ")
        terminal.type("echo $((40 + 2)) $TERM\n")
        terminal.expect("\n42 vt220\r\n")
        terminal.type("test -t 0 && test -t 1 && test -t 2 && echo a terminal; sleep 4247\n")
        terminal.expect("\na terminal\r\n")
        deadline = time.monotonic() + _SECONDS
        while not any(line.endswith("sleep 4247") for line in processes()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        terminal.type("\x03")
        terminal.expect("$ ")
        # A line that comes while the shell still deals with the signal can be lost; this one may.
        terminal.type("\n")
        terminal.expect("$ ")
        terminal.type("echo sti''ll here; exit 9\n")
        terminal.expect("still here")
        assert terminal.program.wait(_SECONDS) == 9
    finally:
        terminal.close()
    assert not [line for line in processes() if "sleep 4247" in line]


def test_a_daemon_holds_the_data_root(tmp_path: Path) -> None:
    with daemon(str(tmp_path)) as running:
        result = Failed(running.data_root, "x").run("--", "true")
    assert result.returncode == 1
    assert "a daemon holds the data root" in result.stderr.decode()
    assert "docker commit" in result.stderr.decode()
