import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cli.ssh_agents import parse_agents, parse_forwarded
from imagewright.errors import InvalidInput


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listener:
        # Relative: the path of a test's directory may be longer than an address.
        listener.bind("agent=1")
        yield str(tmp_path / "agent=1")


def test_agents_of_a_daemon() -> None:
    found = parse_agents("--ssh-agent", ["/run/a=b", "work=/run/w=1"])
    assert found == {"default": "/run/a=b", "work": "/run/w=1"}


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["run/agent"], "the path of the socket must be absolute"),
        (["a=run/agent"], "the path of the socket must be absolute"),
        (["a="], "the path of the socket must be absolute"),
        ([""], "the path of the socket must be absolute"),
        (["=/run/agent"], "the id is missing"),
        (["/a", "default=/b"], "there is a socket for 'default' already"),
    ],
)
def test_agents_that_cannot_be(texts: list[str], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"--ssh-agent .*{message}"):
        parse_agents("--ssh-agent", texts)


def test_agents_of_a_build(agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", agent)
    found = parse_forwarded("--ssh", ["default", "work", f"relative={os.path.basename(agent)}"])
    assert found == dict.fromkeys(["default", "work", "relative"], agent)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["default"], "no agent is running: SSH_AUTH_SOCK is not set"),
        (["a="], "no agent is running"),
        (["=x"], "the id is missing"),
        (["a=nope"], "nope: No such file or directory"),
        (["a=key"], "is not the socket of an agent: add a key to one with ssh-add"),
        (["a=agent=1", "a=agent=1"], "there is a socket for 'a' already"),
    ],
)
@pytest.mark.usefixtures("agent")
def test_what_cannot_be_lent(texts: list[str], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    Path("key").write_text("a key")
    with pytest.raises(InvalidInput, match=f"--ssh .*{message}"):
        parse_forwarded("--ssh", texts)
