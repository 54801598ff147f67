import asyncio
import grp
import os
import signal
import socket
import stat
import threading
from pathlib import Path

import pytest

from imagewright.api import listen, serve, server
from imagewright.errors import Conflict, Forbidden, ImagewrightError, InvalidInput, SystemFailure, Unsupported
from unit.api.fake_daemon import FakeDaemon, running
from unit.api.fake_engine import FakeEngine


def refusal(*hosts: str) -> ImagewrightError:
    async def main() -> None:
        stop = asyncio.Event()
        await listen(FakeEngine(), hosts, stop=stop, ready=stop.set)

    with pytest.raises(ImagewrightError) as raised:
        asyncio.run(main())
    return raised.value


def test_the_socket_is_for_root_and_the_group(daemon: FakeDaemon) -> None:
    status = os.stat(daemon.path)
    assert stat.S_IMODE(status.st_mode) == 0o660
    groups = {group.gr_name: group.gr_gid for group in grp.getgrall()}
    if os.geteuid() == 0 and "docker" in groups:
        assert status.st_gid == groups["docker"]


def test_a_socket_that_is_left_over_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with running(path, FakeEngine()) as daemon:
        assert daemon.get("/_ping").status == 200
    assert not os.path.lexists(path)


def test_a_live_socket_is_not_stolen(daemon: FakeDaemon) -> None:
    error = refusal(daemon.host)
    assert isinstance(error, Conflict)
    assert "in use by a daemon that runs" in str(error)
    assert daemon.get("/_ping").status == 200


def test_other_files_are_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("precious")
    assert isinstance(refusal(f"unix://{path}"), Conflict)
    assert path.read_text() == "precious"


def test_a_socket_that_somebody_else_put_there_stays(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with running(path, FakeEngine()):
        os.unlink(path)
        Path(path).write_text("another's")
    assert os.path.exists(path)


def test_directories_are_made(tmp_path: Path) -> None:
    path = str(tmp_path / "a" / "b" / "s")
    with running(path, FakeEngine()) as daemon:
        assert daemon.get("/_ping").status == 200


def test_a_directory_where_everybody_may_replace_files(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    os.chmod(tmp_path / "open", 0o777)  # noqa: S103 - the point
    assert isinstance(refusal(f"unix://{tmp_path}/open/s"), Forbidden)
    os.chmod(tmp_path / "open", 0o1777)  # noqa: S103 - as /tmp
    with running(f"{tmp_path}/open/s", FakeEngine()):
        pass


def test_a_socket_that_cannot_be_made() -> None:
    assert isinstance(refusal("unix:///proc/self/s"), SystemFailure)


@pytest.mark.parametrize(
    ("host", "kind", "message"),
    [
        ("tcp://127.0.0.1:2375", Unsupported, "tcp://127.0.0.1:2375: listening on tcp:// is not supported yet"),
        ("fd://", Unsupported, "fd://: taking over sockets"),
        ("npipe:////./pipe/x", InvalidInput, "expected unix://PATH"),
        ("/run/x.sock", InvalidInput, "expected unix://PATH"),
        ("unix://x.sock", InvalidInput, "must be absolute"),
        ("unix:///" + "x" * 108, InvalidInput, "at most 107 bytes"),
    ],
)
def test_hosts_that_cannot_be(host: str, kind: type[ImagewrightError], message: str) -> None:
    error = refusal(host)
    assert type(error) is kind
    assert message in str(error)


def test_there_must_be_a_host() -> None:
    assert isinstance(refusal(), InvalidInput)


def test_several_hosts(tmp_path: Path) -> None:
    hosts = [f"unix://{tmp_path}/a", f"unix://{tmp_path}/b"]
    found: list[bool] = []

    async def main() -> None:
        stop = asyncio.Event()

        def ready() -> None:
            found.extend(os.path.exists(host.removeprefix("unix://")) for host in hosts)
            stop.set()

        await listen(FakeEngine(), hosts, stop=stop, ready=ready)

    asyncio.run(main())
    assert found == [True, True]
    assert os.listdir(tmp_path) == []


def test_a_job_that_does_not_stop_is_left_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_SHUTDOWN_SECONDS", 0.02)
    engine, path = FakeEngine(), str(tmp_path / "s")
    started, go = threading.Event(), threading.Event()

    def stubborn(name: str) -> None:
        if name == "build":
            started.set()
            go.wait(5)

    engine.before = stubborn
    with running(path, engine) as daemon, daemon.connect() as client:
        client.sendall(b"POST /build HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\n")
        assert started.wait(5)
        threading.Timer(0.2, go.set).start()
    assert engine.ended.is_set()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_what_it_does(tmp_path: Path, number: signal.Signals) -> None:
    engine = FakeEngine()
    path = str(tmp_path / "s")
    replies: list[object] = []

    def build() -> None:
        reply = FakeDaemon(path, engine).build("FROM scratch\nRUN wait")
        replies.append(reply.messages[-1])

    client = threading.Thread(target=build)

    def interrupt() -> None:
        client.start()
        engine.waiting.wait(5)
        os.kill(os.getpid(), number)

    serve(engine, [f"unix://{path}"], ready=threading.Thread(target=interrupt).start)
    client.join()
    assert engine.ended.is_set()
    text = "the daemon is shutting down"
    assert replies == [{"errorDetail": {"message": text}, "error": text}]
    assert not os.path.exists(path)
