"""A daemon that does what the engine calls experimental."""

import json
from collections.abc import Iterator

import pytest

from support.bases import busybox_base
from support.builder import context
from support.daemon import Daemon, daemon
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged

DOCKERFILE = "FROM busybox\nENV A=1\nRUN echo hi > /x\nLABEL l=1\nRUN rm /bin/ls; echo y > /x\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon")), "--experimental") as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield running


def build(running: Daemon, query: str, *, version: str = "") -> list[dict[str, object]]:
    status, body = request(running.socket, "POST", f"{version}/build?{query}", context(DOCKERFILE))
    assert status == 200
    return [json.loads(line) for line in body.splitlines() if line]


def inspect(running: Daemon, name: str) -> dict[str, object]:
    document: dict[str, object] = json.loads(request(running.socket, "GET", f"/images/{name}/json")[1])
    return document


def test_it_says_so(running: Daemon) -> None:
    connection = UnixConnection(running.socket)
    connection.request("GET", "/_ping")
    assert connection.getresponse().headers["Docker-Experimental"] == "true"
    connection.close()
    assert json.loads(request(running.socket, "GET", "/info")[1])["ExperimentalBuild"] is True
    version = json.loads(request(running.socket, "GET", "/version")[1])
    assert version["Experimental"] is True
    assert version["Components"][0]["Details"]["Experimental"] == "true"


def test_squash(running: Daemon) -> None:
    messages = build(running, "squash=1&t=squashed")
    built = messages[-4]["aux"]
    squashed = messages[-3].pop("aux")
    assert isinstance(built, dict)
    assert isinstance(squashed, dict)
    assert messages[-3] == {"id": "moby.image.id"}
    assert messages[-2:] == [
        {"stream": f"Successfully built {squashed['ID'][7:19]}\n"},
        {"stream": "Successfully tagged squashed:latest\n"},
    ]
    image, base = inspect(running, "squashed"), inspect(running, "busybox")
    assert image["Id"] == squashed["ID"]
    assert image["Parent"] == ""
    assert image["Comment"] == f"merge {built['ID']} to {base['Id']}"
    assert isinstance(base["RootFS"], dict)
    assert isinstance(image["RootFS"], dict)
    assert image["RootFS"]["Layers"][:-1] == base["RootFS"]["Layers"]
    history = json.loads(request(running.socket, "GET", "/images/squashed/history")[1])
    assert [entry["Comment"] for entry in history] == [image["Comment"], "", "", "", "", "Imported from -"]
    # What is left of "hi" and "y".
    assert [entry["Size"] > 0 for entry in history] == [True, False, False, False, False, True]


def test_old_clients_and_quiet_ones(running: Daemon) -> None:
    image = build(running, "squash=1&q=1")[0]["stream"]
    messages = build(running, "squash=1", version="/v1.29")
    assert not [message for message in messages if "aux" in message]
    assert messages[-1] == {"stream": f"Successfully built {str(image)[7:19]}\n"}
