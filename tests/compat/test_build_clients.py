"""Real client libraries and programs build with the daemon: each gets the image's id, and the error in its own way."""

import asyncio
import gzip
import io
import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from support.bases import busybox_base
from support.builder import context
from support.clients import client_library
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.compat

DOCKERFILE = """\
FROM base:1 AS first
ARG WHO=nobody
ARG OTHER=other
LABEL who=$WHO
COPY f /f
RUN echo "$WHO $OTHER $(cat /f)" > /made && cat /made
FROM first
LABEL last=yes
"""
FILES = {"f": "file"}
FAILING = "FROM base:1\nRUN echo before; exit 3\n"
EXIT = "The command '/bin/sh -c echo before; exit 3' returned a non-zero code: 3"
BAD = "dockerfile parse error line 2: unknown instruction: FOO"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("engine"))) as running:
        status, body = request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
        assert status == 200, body
        yield running


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a directory that holds the context of `DOCKERFILE`."""
    where = tmp_path / "context"
    where.mkdir()
    for name, text in {**FILES, "Dockerfile": DOCKERFILE}.items():
        (where / name).write_text(text)
    return where


@pytest.fixture
def docker_py(engine: Daemon) -> Iterator[Any]:
    docker = client_library("docker")
    client = docker.DockerClient(base_url=engine.host)
    yield client
    client.close()


def labels(engine: Daemon, image: str) -> dict[str, str]:
    status, body = request(engine.socket, "GET", f"/images/{image}/json")
    assert status == 200, body
    found: dict[str, str] = json.loads(body)["Config"]["Labels"]
    return found


def output(log: Any) -> str:
    return "".join(message.get("stream", "") for message in log)


def test_docker_py_with_a_directory(docker_py: Any, directory: pathlib.Path) -> None:
    image, log = docker_py.images.build(
        path=str(directory), tag="py:1", buildargs={"WHO": "py", "OTHER": None}, labels={"a": "b"}, rm=True
    )
    assert "py other file\n" in output(log)
    assert image.tags == ["py:1"]
    assert image.labels == {"who": "py", "last": "yes", "a": "b"}


def test_docker_py_with_a_target_and_everything_that_is_no_limit(docker_py: Any, directory: pathlib.Path) -> None:
    image, log = docker_py.images.build(
        path=str(directory),
        target="first",
        network_mode="none",
        platform="linux",
        nocache=True,
        forcerm=True,
        gzip=True,
        isolation="default",
        timeout=60,
    )
    assert "Removing intermediate container" in output(log)
    assert image.labels == {"who": "nobody"}


def test_docker_py_with_archives_and_files(docker_py: Any, directory: pathlib.Path) -> None:
    packed = gzip.compress(context(DOCKERFILE, FILES))
    image, _ = docker_py.images.build(fileobj=io.BytesIO(packed), custom_context=True, encoding="gzip")
    again, log = docker_py.images.build(path=str(directory))
    assert image.id == again.id
    assert "Using cache" in output(log)
    alone, _ = docker_py.images.build(fileobj=io.BytesIO(b"FROM base:1\nLABEL only=file\n"))
    assert alone.labels == {"only": "file"}


def test_docker_py_with_a_dockerfile_from_elsewhere(docker_py: Any, directory: pathlib.Path) -> None:
    (directory / "other").write_text("FROM base:1\nLABEL its=other\n")
    (directory.parent / "outside").write_text("FROM base:1\nLABEL its=outside\nCOPY f /f\n")
    inside, _ = docker_py.images.build(path=str(directory), dockerfile="other")
    outside, _ = docker_py.images.build(path=str(directory), dockerfile=str(directory.parent / "outside"))
    assert (inside.labels["its"], outside.labels["its"]) == ("other", "outside")


@pytest.mark.parametrize(
    ("arguments", "run", "shows"),
    [
        ({"container_limits": {"memory": 64 << 20, "memswap": -1}}, "echo limited", "limited"),
        ({"container_limits": {"cpushares": 512}}, "echo limited", "limited"),
        ({"container_limits": {"cpusetcpus": "0"}}, "grep Cpus_allowed_list /proc/self/status", "\t0\n"),
        ({"shmsize": 16 << 20}, "df -k /dev/shm | awk 'NR==2{print $2}'", "16384\n"),
        ({"extra_hosts": {"one": "10.0.0.1"}}, "grep one /etc/hosts", "10.0.0.1\tone\n"),
        ({"cache_from": ["base:1"]}, "echo from", "from\n"),
    ],
)
def test_docker_py_with_limits(docker_py: Any, arguments: Mapping[str, Any], run: str, shows: str) -> None:
    dockerfile = io.BytesIO(f"FROM base:1\nRUN {run}\n".encode())
    _, log = docker_py.images.build(fileobj=dockerfile, **arguments)
    assert shows in output(log)


def test_docker_py_is_told_what_went_wrong(docker_py: Any) -> None:
    import docker.errors

    with pytest.raises(docker.errors.BuildError) as failed:
        docker_py.images.build(fileobj=io.BytesIO(FAILING.encode()))
    assert failed.value.msg == EXIT
    log = list(failed.value.build_log)
    assert "before\n" in output(log)
    assert log[-1]["errorDetail"] == {"code": 3, "message": EXIT}
    with pytest.raises(docker.errors.APIError) as refused:
        docker_py.images.build(fileobj=io.BytesIO(b"FROM base:1\nFOO\n"))
    assert (refused.value.status_code, refused.value.explanation) == (400, BAD)
    with pytest.raises(docker.errors.BuildError, match="file not found in build context"):
        docker_py.images.build(fileobj=io.BytesIO(b"FROM base:1\nCOPY nope /\n"))


def test_docker_py_of_old_versions(engine: Daemon) -> None:
    docker = client_library("docker")
    client = docker.DockerClient(base_url=engine.host, version="1.24")
    try:
        image, _ = client.images.build(fileobj=io.BytesIO(b"FROM base:1\nLABEL old=version\n"))
        assert image.labels == {"old": "version"}
    finally:
        client.close()


def test_aiodocker(engine: Daemon) -> None:
    aiodocker = client_library("aiodocker")

    async def use() -> None:
        plain = context(DOCKERFILE, FILES)
        async with aiodocker.Docker(url=engine.host) as client:
            log = await client.images.build(
                fileobj=io.BytesIO(plain),
                encoding="identity",
                tag="aio:1",
                buildargs={"WHO": "aio"},
                labels={"a": "b"},
                nocache=True,
                forcerm=True,
            )
            assert "aio other file\n" in output(log)
            (image,) = [message["aux"]["ID"] for message in log if "aux" in message][-1:]
            assert labels(engine, image) == {"who": "aio", "last": "yes", "a": "b"}
            packed = io.BytesIO(gzip.compress(plain))
            again = await client.images.build(fileobj=packed, encoding="gzip", tag="aio:2", buildargs={"WHO": "aio"})
            assert " ---> Using cache\n" in output(again)
            bad = io.BytesIO(context("FROM base:1\nFOO\n"))
            with pytest.raises(aiodocker.DockerError) as refused:
                await client.images.build(fileobj=bad, encoding="identity", tag="aio:3")
            assert (refused.value.status, refused.value.message) == (400, BAD)
            seen: list[Any] = []

            async def follow() -> None:
                failing = io.BytesIO(context(FAILING))
                stream = client.images.build(fileobj=failing, encoding="identity", tag="aio:4", stream=True)
                async for message in stream:
                    seen.append(message)  # noqa: PERF401 - what came before the error is wanted too

            with pytest.raises(aiodocker.exceptions.DockerStreamError) as failed:
                await follow()
            assert failed.value.error_detail == {"code": 3, "message": EXIT}
            assert "before\n" in output(seen)

    asyncio.run(use())


def test_testcontainers(engine: Daemon, directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(directory.parent))
    monkeypatch.setenv("DOCKER_HOST", engine.host)
    monkeypatch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
    testcontainers = client_library("testcontainers.core.image")
    import docker.errors

    with testcontainers.DockerImage(str(directory), tag="contained:1", buildargs={"WHO": "tc"}, no_cache=True) as image:
        assert "tc other file\n" in output(image.get_logs())
        assert str(image) == "contained:1"
        assert labels(engine, image.short_id)["who"] == "tc"
    assert request(engine.socket, "GET", "/images/contained:1/json")[0] == 404
    (directory / "Dockerfile").write_text(FAILING)
    with (
        pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 3"),
        testcontainers.DockerImage(str(directory)),
    ):
        pass


COMPOSE = """\
version: "3.8"
services:
  one:
    image: composed:1
    build:
      context: context
      args: {WHO: compose, OTHER: }
      labels: {a: b}
      target: first
      network: none
  two:
    image: composed:2
    build: {context: context, dockerfile: ../outside}
  limited:
    build: {context: context, dockerfile: ../outside, shm_size: 16mb, extra_hosts: ["x:1.2.3.4"], cache_from: [base:1]}
  failing:
    build: {context: failing}
"""


@pytest.mark.compat("docker-compose")
def test_docker_compose(engine: Daemon, directory: pathlib.Path) -> None:
    version = subprocess.run(
        ["docker-compose", "version", "--short"], capture_output=True, text=True, check=True
    ).stdout
    if not version.startswith("1."):
        # The later ones build with BuildKit.
        reason = f"needs docker-compose 1; this machine's is {version.strip()}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and CI=true", pytrace=False)
        pytest.skip(reason)
    project = directory.parent
    (project / "docker-compose.yml").write_text(COMPOSE)
    (project / "outside").write_text("FROM base:1\nLABEL its=outside\n")
    (project / "failing").mkdir()
    (project / "failing" / "Dockerfile").write_text(FAILING)

    def compose(*services: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker-compose", "build", "--no-cache", "--force-rm", *services],
            cwd=project,
            env={"PATH": os.environ["PATH"], "HOME": str(project), "DOCKER_HOST": engine.host, "OTHER": "theirs"},
            capture_output=True,
            text=True,
            check=False,
        )

    done = compose("one", "two")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "compose theirs file" in done.stdout
    assert labels(engine, "composed:1") == {"who": "compose", "a": "b"}
    assert labels(engine, "composed:2") == {"its": "outside"}
    failed = compose("failing")
    assert failed.returncode == 1
    assert EXIT in failed.stdout + failed.stderr
    limited = compose("limited")
    assert limited.returncode == 0, limited.stdout + limited.stderr


@pytest.mark.compat("node", "npm")
def test_dockerode(engine: Daemon, directory: pathlib.Path, tmp_path: pathlib.Path) -> None:
    program = tmp_path / "dockerode"
    shutil.copytree(os.path.join(os.path.dirname(__file__), "dockerode"), program)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    installed = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stderr

    def build(form: str, path: str, **options: Any) -> Any:
        arguments = ["node", "build.js", engine.socket, form, path, json.dumps(options)]
        done = subprocess.run(arguments, cwd=program, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    built = build("directory", str(directory), t="node:1", buildargs={"WHO": "node"}, nocache=True, labels={"a": "b"})
    assert built["id"] == built["inspected"]
    assert "node other file\n" in built["log"]
    assert labels(engine, "node:1") == {"who": "node", "last": "yes", "a": "b"}
    archive = tmp_path / "context.tar"
    archive.write_bytes(context(FAILING))
    assert build("archive", str(archive)) == {"status": None, "message": EXIT}
    archive.write_bytes(context("FROM base:1\nFOO\n"))
    refused = build("archive", str(archive))
    assert refused["status"] == 400
    assert BAD in refused["message"]
