import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.sandbox.agents import Forwarder

_PATIENCE = 0.2


@pytest.fixture(name="agent")
def make_agent(tmp_path: Path) -> Iterator[socket.socket]:
    """Yield an agent that listens, and takes whom the test lets it take."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent"))
        listener.listen(0)
        listener.settimeout(10)
        yield listener


@contextlib.contextmanager
def forwarding(directory: Path, patience: float = _PATIENCE) -> Iterator[Forwarder]:
    target = str(directory / "agent")
    owner = {"uid": os.getuid(), "gid": os.getgid()}
    with Forwarder(str(directory), "lent", target, mode=0o600, patience=patience, **owner) as forwarder:
        yield forwarder
    deadline = time.monotonic() + 10
    while [thread for thread in threading.enumerate() if thread.name == "imagewright-agent"]:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def connect(directory: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    # Without a time limit: with one, a socket for which others wait refuses at once.
    client.connect(str(directory / "lent"))
    client.settimeout(10)
    return client


@contextlib.contextmanager
def full(directory: Path) -> Iterator[None]:
    """Have so many wait for the agent that it takes nobody."""
    with contextlib.ExitStack() as stack, contextlib.suppress(BlockingIOError):
        while True:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            try:
                waiting.connect(str(directory / "agent"))
            except BlockingIOError:
                yield
                raise


def hear(client: socket.socket) -> bytes:
    """Return what comes, nothing for a connection that is cut."""
    with contextlib.suppress(ConnectionError):
        return client.recv(100)
    return b""


def test_an_agent_that_takes_nobody_is_given_up_until_it_does(agent: socket.socket, tmp_path: Path) -> None:
    with forwarding(tmp_path):
        with full(tmp_path), connect(tmp_path) as client:
            assert hear(client) == b""
        with full(tmp_path), connect(tmp_path) as client:
            agent.accept()[0].close()
            client.sendall(b"ping")
            while not (data := hear(end := agent.accept()[0])):
                end.close()
            with end:
                end.sendall(data.upper())
                assert hear(client) == b"PING"


def test_the_end_does_not_wait_for_an_agent_that_takes_nobody(agent: socket.socket, tmp_path: Path) -> None:
    with full(tmp_path):
        with forwarding(tmp_path, patience=3600):
            client = connect(tmp_path)
            time.sleep(0.1)
        assert hear(client) == b""
        client.close()
    assert agent.fileno() > 0


def test_a_flood_of_connections_is_cut_and_passes(agent: socket.socket, tmp_path: Path) -> None:
    with forwarding(tmp_path):
        with full(tmp_path), contextlib.ExitStack() as stack:
            flood = [stack.enter_context(connect(tmp_path)) for _ in range(200)]
            assert [hear(client) for client in flood] == [b""] * 200
        agent.accept()[0].close()
        with connect(tmp_path) as client:
            client.sendall(b"ping")
            end, _ = agent.accept()
            with end:
                assert hear(end) == b"ping"
