"""Builds whose context is elsewhere, by real clients and raw requests, through the daemon."""

import asyncio
import gzip
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner

from imagewright.cli.main import program
from imagewright.engine import BuildRequest, ContextLimits, Engine
from imagewright.errors import InvalidInput
from imagewright.remote import FetchLimits
from support.bases import busybox_base
from support.builder import archive
from support.daemon import Daemon, daemon
from support.engines import leftovers, processes
from support.git_server import Repositories, git_over_http
from support.loopback import LoopbackServer, Request, Response
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged("git")

_DOCKERFILE = b"FROM busybox\nRUN echo built from far away\n"
_TAR = archive({"Dockerfile": b"FROM busybox\nCOPY f /f\nRUN cat /f\n", "f": b"in the archive\n", "other": _DOCKERFILE})
_PAGES = {
    "/Dockerfile": Response(headers={"Content-Type": "text/plain"}, body=_DOCKERFILE),
    "/copies": Response(headers={"Content-Type": "text/plain"}, body=b"FROM busybox\nCOPY . /x\n"),
    "/wrong": Response(headers={"Content-Type": "text/plain"}, body=b"FROM busybox\nFOO\n"),
    "/context.tar.gz": Response(headers={"Content-Type": "application/gzip"}, body=gzip.compress(_TAR)),
    "/noise": Response(headers={"Content-Type": "application/octet-stream"}, body=b"\0\1\2" * 400),
    "/metadata": Response(302, {"Location": "http://169.254.169.254/latest/meta-data/"}),
    "/slow": Response(headers={"Content-Type": "text/plain"}, body=_DOCKERFILE, stall=3),
    "/slow.git/info/refs": Response(headers={"Content-Type": "application/x-git-upload-pack-advertisement"}, stall=0),
}


@dataclass(frozen=True)
class _World:
    daemon: Daemon
    server: LoopbackServer

    def build(
        self, path: str, query: str = "", *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, list[dict[str, object]]]:
        """Build what is at `path` of the server, or at the address `path`; return the status and the messages."""
        remote = f"{self.server.url}{path}" if path.startswith("/") else path
        connection = UnixConnection(self.daemon.socket)
        try:
            connection.request("POST", f"/build?remote={quote(remote, safe='')}{query}", body, headers or {})
            response = connection.getresponse()
            return response.status, [json.loads(line) for line in response.read().splitlines() if line]
        finally:
            connection.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    repositories = Repositories(tmp_path_factory.mktemp("repositories"))
    repositories.create("x.git")
    dockerfile = "FROM busybox\nCOPY . /all\nRUN ls -A /all; if [ -e /all/f ]; then cat /all/f; fi\n"
    inner = ("040000", repositories.tree("x.git", {"Dockerfile": ("100644", repositories.blob("x.git", dockerfile))}))
    repositories.commit("x.git", {"Dockerfile": dockerfile, "f": "in the repository\n", "d": inner})

    def change(asked: Request) -> Response | None:
        return _PAGES.get(asked.path)

    with (
        git_over_http(repositories, change=change) as server,
        daemon(str(tmp_path_factory.mktemp("daemon"))) as running,
    ):
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield _World(running, server)


def _log(messages: list[dict[str, object]]) -> str:
    return "".join(str(message.get("stream", "")) for message in messages)


def test_a_dockerfile(world: _World) -> None:
    status, messages = world.build("/Dockerfile", "&t=far:1&dockerfile=ignored")
    assert status == 200
    url = f"{world.server.url}/Dockerfile"
    size = len(_DOCKERFILE)
    assert messages[:3] == [
        {"status": url, "progressDetail": {"current": size}, "progress": f"{size:>7}B", "id": "Downloading context"},
        {},
        {"stream": "Step 1/2 : FROM busybox"},
    ]
    assert "built from far away\n" in _log(messages)
    assert messages[-1] == {"stream": "Successfully tagged far:1\n"}


def test_an_archive(world: _World) -> None:
    status, messages = world.build("/context.tar.gz")
    assert (status, "in the archive\n" in _log(messages)) == (200, True)
    assert "built from far away\n" in _log(world.build("/context.tar.gz", "&dockerfile=other")[1])


def test_a_repository_is_built_once(world: _World) -> None:
    status, messages = world.build("/x.git")
    assert status == 200
    assert ".git\n" in _log(messages)
    assert "in the repository\n" in _log(messages)
    # Nothing of the checkout is of this one time, so the cache knows it again.
    assert _log(world.build("/x.git")[1]).count("Using cache") == 2
    assert "Dockerfile\n" in _log(world.build("/x.git#master:d")[1])


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"Content-Length": "0"}, None),
        ({"Content-Type": "application/json"}, b'{"remote": "x", "t": "far:2"}'),
        ({"Content-Type": "application/x-tar"}, b"no tar"),
        ({"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n\r\n"),
    ],
)
def test_the_body_is_no_matter(world: _World, headers: dict[str, str], body: bytes | None) -> None:
    status, messages = world.build("/Dockerfile", body=body, headers=headers)
    assert status == 200
    assert "Successfully built" in _log(messages)


def test_a_body_that_is_longer_than_anybody_reads(world: _World) -> None:
    status, messages = world.build("/Dockerfile", body=b"x" * (16 << 20))
    assert (status, "Successfully built" in _log(messages)) == (200, True)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/copies", "COPY failed: missing build context"),
        ("/wrong", "dockerfile parse error line 2: unknown instruction: FOO"),
        ("/noise", "archive/tar: invalid tar header"),
    ],
)
def test_what_fails_after_the_download(world: _World, path: str, message: str) -> None:
    status, messages = world.build(path)
    assert status == 200
    assert messages[0]["id"] == "Downloading context"
    assert messages[-1] == {"errorDetail": {"message": message}, "error": message}


@pytest.mark.parametrize(
    ("remote", "status", "message"),
    [
        ("/none", 404, "error downloading remote context URL: failed to GET URL with status 404 Not Found"),
        (
            "/metadata",
            403,
            (
                'error downloading remote context URL: Get "http://169.254.169.254/latest/meta-data/": '
                "address 169.254.169.254 is refused"
            ),
        ),
        ("/x.git#none", 400, "error fetching: fatal: couldn't find remote ref none\n: exit status 128"),
        ("/x.git#master:none", 400, "stat none: no such file or directory"),
        ("/x.git#master:f", 400, "error setting git context, not a directory: f"),
        ("foo", 400, "remoteURL (foo) could not be recognized as URL"),
        ("file:///etc/passwd", 400, "remoteURL (file:///etc/passwd) could not be recognized as URL"),
        ("ext::sh -c id", 400, "remoteURL (ext::sh -c id) could not be recognized as URL"),
        ("git://h/x#--upload-pack=id", 400, "the build parameter remote: invalid refspec: --upload-pack=id"),
        (
            "git://h/x#master:../..",
            400,
            "the build parameter remote: forbidden path outside the build context: ../.. ()",
        ),
        (
            "http://h/\x1bx",
            400,
            "the build parameter remote is too long, or has characters in it that no address has",
        ),
    ],
)
def test_what_is_refused(world: _World, remote: str, status: int, message: str) -> None:
    url = f"{world.server.url}{remote}"
    assert world.build(remote) == (status, [{"message": message.replace("URL", url) if "/" in remote[:1] else message}])
    assert leftovers(world.daemon.data_root) == []


def test_an_address_that_is_too_long(world: _World) -> None:
    status, messages = world.build("http://h/" + "x" * (32 << 10))
    assert status == 400
    assert messages == [
        {"message": "the build parameter remote is too long, or has characters in it that no address has"}
    ]


@pytest.mark.parametrize("path", ["/slow", "/slow.git"])
def test_a_client_that_leaves_ends_the_fetch(world: _World, path: str) -> None:
    asked = len(world.server.requests)
    connection = UnixConnection(world.daemon.socket)
    connection.request("POST", f"/build?remote={quote(world.server.url + path, safe='')}", b"")
    _wait(lambda: len(world.server.requests) > asked)
    connection.close()
    _wait(lambda: not leftovers(world.daemon.data_root) and not _running(world.server.url))


def _running(text: str) -> list[str]:
    return [line for line in processes() if text in line]


def _wait(condition: object) -> None:
    deadline = time.monotonic() + 30
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_builds_side_by_side(world: _World) -> None:
    answers: list[int] = []

    def build() -> None:
        answers.append(world.build("/x.git")[0])

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert leftovers(world.daemon.data_root) == []


def test_docker_py(world: _World) -> None:
    import docker

    client = docker.DockerClient(base_url=world.daemon.host)
    try:
        for path, text in (("/Dockerfile", "built from far away"), ("/x.git#master:d", "Dockerfile")):
            image, log = client.images.build(path=f"{world.server.url}{path}", tag="py:1", nocache=True)
            assert "py:1" in image.tags
            assert any(text in str(message.get("stream")) for message in log)
    finally:
        client.close()


def test_aiodocker(world: _World) -> None:
    import aiodocker

    async def use() -> None:
        async with aiodocker.Docker(url=world.daemon.host) as client:
            messages = await client.images.build(remote=f"{world.server.url}/context.tar.gz", tag="aio:1", nocache=True)
            assert any("in the archive" in message.get("stream", "") for message in messages)

    asyncio.run(use())


def test_the_command_line(world: _World) -> None:
    arguments = ["build", "-H", world.daemon.host, f"{world.server.url}/x.git#master:d"]
    result = CliRunner().invoke(program, arguments)
    assert result.exit_code == 0, result.output
    assert "Successfully built" in result.output


def test_an_engine_has_limits_of_its_own(world: _World, tmp_path: Path) -> None:
    limits = ContextLimits(fetch=FetchLimits(size=100))
    wanted = BuildRequest(remote=f"{world.server.url}/x.git")
    with (
        Engine(str(tmp_path), context_limits=limits) as engine,
        pytest.raises(InvalidInput, match="the repository is larger than 100 bytes"),
    ):
        engine.build(io.BytesIO(), wanted)
    assert leftovers(str(tmp_path)) == []
