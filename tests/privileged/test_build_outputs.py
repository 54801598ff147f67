"""What a build's result is handed out as, by a real daemon."""

import base64
import io
import json
import tarfile
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from support.bases import busybox_base
from support.builder import context
from support.daemon import Daemon, daemon
from support.engines import leftovers
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield running


def build(running: Daemon, dockerfile: str, kind: str, query: str = "") -> tuple[int, bytes]:
    target = f"/build?forcerm=1&outputs={quote(json.dumps([{'Type': kind}]))}&{query}"
    return request(running.socket, "POST", target, context(dockerfile))


@pytest.mark.parametrize("kind", ["tar", "local"])
def test_files(running: Daemon, kind: str) -> None:
    script = "echo hi > /made; rm /bin/ls; mkdir /d; ln /made /d/same; dd if=/dev/zero of=/z bs=1M count=9"
    dockerfile = f"FROM busybox\nRUN {script}\n"
    status, body = build(running, dockerfile, kind, "t=kept")
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = {member.name: member for member in tar}
        assert "bin/ls" not in members
        assert members["made"].linkname == "d/same"
        assert members["z"].size == 9 << 20
        assert members["home/user"].uid == 1000
        assert members["tmp"].mode == 0o1777
        file = tar.extractfile("made")
        assert file is not None
        assert file.read() == b"hi\n"
    assert request(running.socket, "GET", "/images/kept/json")[0] == 200


def test_a_failure_tells_what_the_step_wrote(running: Daemon) -> None:
    status, body = build(running, "FROM busybox\nRUN echo first\nRUN echo last words; exit 3\n", "tar", "t=never")
    assert status == 500
    assert json.loads(body)["message"] == (
        "The command '/bin/sh -c echo last words; exit 3' returned a non-zero code: 3; it wrote:\nlast words"
    )
    assert request(running.socket, "GET", "/images/never/json")[0] == 404
    assert leftovers(running.data_root) == []


def test_a_failure_tells_no_secret_that_the_step_wrote(running: Daemon) -> None:
    header = base64.b64encode(json.dumps({"s": base64.b64encode(b"hush-4711\n").decode()}).encode()).decode()
    mount = "--mount=type=secret,id=s,env=S"
    many = "i=0; while [ $i -lt 900 ]; do echo $S; i=$((i + 1)); done; exit 3"
    for script, wrote in (("echo said $S; exit 3", "\nsaid ***"), (many, "\n***\n***")):
        target = f"/build?forcerm=1&outputs={quote(json.dumps([{'Type': 'tar'}]))}"
        connection = UnixConnection(running.socket)
        dockerfile = f"FROM busybox\nRUN {mount} {script}\n"
        connection.request("POST", target, context(dockerfile), {"X-Build-Secrets": header})
        response = connection.getresponse()
        message = json.loads(response.read())["message"]
        connection.close()
        assert response.status == 500
        assert message.endswith(wrote)
        assert "4711" not in message


def test_a_bad_dockerfile(running: Daemon) -> None:
    status, body = build(running, "FROM busybox\nFOO\n", "tar")
    assert (status, json.loads(body)["message"]) == (400, "dockerfile parse error line 2: unknown instruction: FOO")


def test_an_image_with_a_name(running: Daemon) -> None:
    outputs = quote(json.dumps([{"Type": "image", "Attrs": {"name": "named:1"}}]))
    status, body = request(
        running.socket, "POST", f"/build?outputs={outputs}&t=also", context("FROM busybox\nENV A=1\n")
    )
    assert status == 200
    tagged = [json.loads(line) for line in body.splitlines() if line][-2:]
    assert tagged == [
        {"stream": "Successfully tagged also:latest\n"},
        {"stream": "Successfully tagged named:1\n"},
    ]
