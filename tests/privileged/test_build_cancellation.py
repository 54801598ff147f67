"""A client that leaves, at any moment of a build, leaves nothing behind; nor does a daemon that is told to stop."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.bases import busybox_base
from support.builder import Content, archive, context
from support.daemon import Daemon, daemon
from support.engines import cgroups, leftovers, processes
from support.fake_registry import FakeRegistry, dripping, fake_registry, make_image
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged

# So that it is certain who waits.
_ONE_AT_A_TIME = ("--max-builds", "1")
_SECONDS = 30.0


class Client:
    """A client of one build, which reads its messages one by one and leaves when it likes."""

    def __init__(self, running: Daemon, data: bytes, query: str = "") -> None:
        self._connection = UnixConnection(running.socket)
        self._connection.request("POST", f"/build?t=never&{query}", data)
        self._response: Any = None
        self.messages: list[str] = []

    def read(self, text: str = "") -> None:
        """Read until a message has `text`, which must come; to the end without."""
        self._response = self._response or self._connection.getresponse()
        assert self._response.status == 200
        while line := self._response.readline():
            self.messages.append(line.decode())
            if text and text in self.messages[-1]:
                return
        assert not text, self.messages[-3:]

    def refused(self) -> tuple[int, str]:
        """Return the status and the message of an answer that is no stream."""
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())["message"]

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        assert self._response is not None
        with socket.socket(fileno=os.dup(self._connection.sock.fileno())) as half:
            half.shutdown(socket.SHUT_WR)

    def leave(self) -> None:
        """Leave, as the kernel does it for a program that is killed."""
        if self._response is not None:
            self._response.close()
        self._connection.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon")), *_ONE_AT_A_TIME) as running:
        import_base(running)
        yield running


def import_base(running: Daemon) -> None:
    assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def remains(running: Daemon, marker: str) -> list[str]:
    """Return what there is of builds: files, mounts, control groups, helpers, and processes with `marker`."""
    data_root = running.data_root
    children = subprocess.run(
        ["ps", "--ppid", str(running.process.pid), "-o", "pid,args", "--no-headers"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [
        *leftovers(data_root),
        *(f"ingest/{name}" for name in os.listdir(f"{data_root}/ingest")),
        *(f"run/{name}" for kind in ("bundles", "runtime") for name in listed(f"{data_root}/run/{kind}")),
        *cgroups(data_root),
        # The helper with the network namespace is one, without which nothing holds the namespace. A few are kept ready
        # for what comes next, and end when nothing comes.
        *(child for child in children.stdout.splitlines() if "slirp4netns" not in child),
        *[child for child in children.stdout.splitlines() if "slirp4netns" in child][os.cpu_count() or 1 :],
        *(line for line in processes() if marker in line),
    ]


def listed(directory: str) -> list[str]:
    return os.listdir(directory) if os.path.isdir(directory) else []


def check_nothing_is_left(running: Daemon, marker: str = "no process has this") -> None:
    deadline = time.monotonic() + _SECONDS
    while left := remains(running, marker):
        assert time.monotonic() < deadline, left
        time.sleep(0.02)
    assert request(running.socket, "GET", "/containers/json?all=1")[1].strip() == b"[]"


@dataclass(frozen=True)
class Moment:
    """Leave when a message with `text` has come, and `seconds` later."""

    dockerfile: str
    text: str
    seconds: float = 0.0
    files: dict[str, Content] = field(default_factory=dict)
    tagged: bool = False


_DAEMONS = "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM; sleep 4242' & done"
_STUBBORN = f"trap '' TERM INT HUP; echo on; {_DAEMONS}; sleep 4242"
_FLOOD = "head -c 120000000 /dev/zero | tr '\\0' '\\n'; echo last words"
_MANY = "mkdir /d; i=0; while [ $i -lt 3000 ]; do echo $i > /d/$i; i=$((i+1)); done; echo made"
_SETTINGS = "".join(f"ENV V{n}=$V{n - 1}x\n" for n in range(60))
_FILES: dict[str, Content] = {f"d/{n}": f"{n}\n" * 100 for n in range(3000)}

MOMENTS = {
    "copy": Moment("FROM busybox\nCOPY d /d\nRUN true\n", "COPY d", 0.1, _FILES),
    "run begins": Moment("FROM busybox\nRUN sleep 4242\n", "Running in"),
    "run begins in earnest": Moment("FROM busybox\nRUN sleep 4242\n", "Running in", 0.15),
    "run that resists": Moment(f"FROM busybox\nRUN {_STUBBORN}\n", "on\\n"),
    "capture": Moment(f"FROM busybox\nRUN {_MANY}\nRUN sleep 4242\n", "made", 0.1),
    "commit": Moment("FROM busybox\nRUN echo x > /y\nRUN sleep 4242\n", "Removing"),
    "between steps": Moment(f"FROM busybox\n{_SETTINGS}RUN sleep 4242\n", "Step 30/"),
    "side by side": Moment(
        "FROM busybox AS a\nRUN echo a; sleep 4242\nFROM busybox\nRUN sleep 4242\nCOPY --from=a /etc /e\n", "a\\n"
    ),
    "just before the end": Moment("FROM busybox\nRUN echo z > /z\nCMD x\n", "CMD x", tagged=True),
}


@pytest.mark.parametrize("name", MOMENTS)
def test_a_client_that_leaves_leaves_nothing(running: Daemon, name: str) -> None:
    moment = MOMENTS[name]
    client = Client(running, context(moment.dockerfile, moment.files), "nocache=1")
    client.read(moment.text)
    # Into the middle of what follows: the outcome is the same wherever it falls.
    time.sleep(moment.seconds)
    client.leave()
    check_nothing_is_left(running, "sleep 4242")
    if not moment.tagged:
        assert request(running.socket, "GET", "/images/never/json")[0] == 404
    request(running.socket, "DELETE", "/images/never")


def test_leaving_during_the_upload(running: Daemon) -> None:
    data = context("FROM busybox\n", {"big": b"x" * (3 << 20)})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(running.socket)
        client.sendall(b"POST /build?t=never HTTP/1.1\r\nHost: d\r\nContent-Length: %d\r\n\r\n" % len(data))
        client.sendall(data[: len(data) // 2])
        wait_until(lambda: bool(os.listdir(f"{running.data_root}/ingest")))
    check_nothing_is_left(running)


def test_leaving_while_others_are_served(running: Daemon) -> None:
    first = Client(running, context("FROM busybox\nRUN echo on; sleep 4243\n"))
    first.read("on\\n")
    waiting = Client(running, context("FROM busybox\nRUN echo on; sleep 4244\n"))
    waiting.leave()
    third = Client(running, context("FROM busybox\nRUN echo third\n"))
    first.leave()
    third.read()
    assert "Successfully tagged" in third.messages[-1]
    third.leave()
    check_nothing_is_left(running, "sleep 424")
    assert request(running.socket, "DELETE", "/images/never")[0] == 200


def test_leaving_during_a_pull(running: Daemon) -> None:
    with fake_registry(FakeRegistry()) as registry:
        make_image(registry, "slow", "1", archive({"f": os.urandom(1 << 16)}))
        registry.fault("GET /v2/.*/blobs/.*", dripping(0.05))
        client = Client(running, context(f"FROM {registry.host}/slow:1\nRUN true\n"))
        wait_until(lambda: any("/blobs/" in asked.target for asked in list(registry.server.requests)))
        client.leave()
        check_nothing_is_left(running)
    assert b"slow" not in request(running.socket, "GET", "/images/json?all=1")[1]


@pytest.mark.parametrize("scheme", ["http", "git"])
def test_leaving_while_the_context_is_fetched(running: Daemon, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        remote = f"{scheme}://127.0.0.1:{server.getsockname()[1]}/slow"
        client = Client(running, b"", f"remote={quote(remote, safe='')}")
        accepted, _ = server.accept()
        if scheme == "git":
            # The first connection is that of who judges the address; git's own comes next.
            accepted.close()
            accepted, _ = server.accept()
        with accepted:
            assert accepted.recv(1000)
            client.leave()
            check_nothing_is_left(running, "127.0.0.1/slow")


def test_a_client_that_stops_sending_is_told(running: Daemon) -> None:
    client = Client(running, context("FROM busybox\nRUN echo on; sleep 4242\n"))
    client.read("on\\n")
    client.half_close()
    client.read()
    assert [json.loads(message) for message in client.messages[-2:]] == [
        {"stream": "Build cancelled\n"},
        {"errorDetail": {"message": "Build cancelled"}, "error": "Build cancelled"},
    ]
    client.leave()
    check_nothing_is_left(running, "sleep 4242")


def test_cancelling_by_id(running: Daemon) -> None:
    client = Client(running, context("FROM busybox\nRUN echo on; sleep 4242\n"), "version=1&buildid=7")
    client.read("on\\n")
    assert request(running.socket, "POST", "/build/cancel?id=7")[0] == 200
    client.read()
    assert json.loads(client.messages[-1])["error"] == "Build cancelled"
    client.leave()
    check_nothing_is_left(running, "sleep 4242")


def test_what_is_printed_is_held_back_by_a_slow_client(running: Daemon) -> None:
    client = Client(running, context(f"FROM busybox\nRUN {_FLOOD}\n"))
    client.read("Running in")
    before = memory(running.process.pid)
    time.sleep(0.5)
    assert memory(running.process.pid) - before < 48 << 20
    assert [line for line in processes() if "head -c 120000000" in line]
    client.leave()
    check_nothing_is_left(running, "head -c 120000000")


def test_nothing_of_a_flood_is_lost(running: Daemon) -> None:
    client = Client(running, context("FROM busybox\nRUN seq 1 400000\n"), "nocache=1")
    client.read()
    text = "".join(json.loads(message).get("stream", "") for message in client.messages)
    numbers = re.findall(r"^[0-9]+$", text.partition("Running in")[2].partition("\n")[2], re.MULTILINE)
    assert numbers == [str(n) for n in range(1, 400001)]
    client.leave()
    request(running.socket, "DELETE", "/images/never")
    check_nothing_is_left(running)


def memory(pid: int) -> int:
    """Return the bytes of memory that the process has."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) << 10


def test_a_daemon_that_is_told_to_stop_ends_its_builds(tmp_path: Path) -> None:
    with daemon(str(tmp_path), *_ONE_AT_A_TIME) as running:
        import_base(running)
        client = Client(running, context(f"FROM busybox\nRUN {_STUBBORN.replace('4242', '4245')}\n"))
        client.read("on\\n")
        waiting = Client(running, context("FROM busybox\n"))
        # Who comes after it is answered, so it has been heard.
        assert request(running.socket, "GET", "/_ping")[0] == 200
        running.process.send_signal(signal.SIGTERM)
        client.read()
        assert json.loads(client.messages[-1])["error"] == "the daemon is shutting down"
        assert waiting.refused() == (503, "the daemon is shutting down")
        assert running.process.wait(_SECONDS) == 0
        assert remains(running, "sleep 4245") == []
        client.leave()
        waiting.leave()


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_daemon_at_once(tmp_path: Path, second: signal.Signals) -> None:
    with daemon(str(tmp_path)) as running:
        import_base(running)
        # One who does not read is given some time to take the last words.
        client = Client(running, context(f"FROM busybox\nRUN {_FLOOD}\n"))
        client.read("Running in")
        wait_until(lambda: "head -c 120000000" in "".join(processes()))
        running.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "shutting down" in Path(running.log).read_text(encoding="utf-8"))
        running.process.send_signal(second)
        assert running.process.wait(_SECONDS) == -second
        client.leave()
    with daemon(str(tmp_path)) as running:
        check_nothing_is_left(running, "head -c 120000000")
