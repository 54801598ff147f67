"""What builds leave, looked at with unmodified clients: list, inspect, logs, commit, remove."""

import io
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import docker
import pytest

from support.bases import busybox_base
from support.builder import context
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.engines import leftovers
from support.unixhttp import request

pytestmark = pytest.mark.compat

CLIS = docker_clis() or (DockerCli("docker", ()),)

DOCKERFILE = """\
FROM base:1
ENV A=b
ARG Q=1
WORKDIR /w
USER 1000:50
RUN echo out; echo bad >&2; printf end
RUN echo left > /tmp/left; echo last words; exit 3
"""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("engine"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())[0] == 200
        yield running


@pytest.fixture(params=CLIS, ids=str)
def cli(request: pytest.FixtureRequest) -> DockerCli:
    chosen: DockerCli = request.param
    return chosen


def build(cli: DockerCli, engine: Daemon, dockerfile: str, *arguments: str) -> str:
    """Build without the cache, whether or not that fails, and return what was printed."""
    data = context(dockerfile)
    result = cli.run(engine.host, "build", "--no-cache", "--network", "none", *arguments, "-", data=data)
    return result.stdout.decode()


def listed(cli: DockerCli, engine: Daemon) -> list[str]:
    """Return the ids of the containers, the newest first."""
    return cli.ok(engine.host, "ps", "-aq", "--no-trunc").split()


def inspect(cli: DockerCli, engine: Daemon, name: str) -> dict[str, Any]:
    (document,) = json.loads(cli.ok(engine.host, "inspect", name))
    assert isinstance(document, dict)
    return document


def test_the_container_of_a_failed_step(cli: DockerCli, engine: Daemon) -> None:
    build(cli, engine, DOCKERFILE)
    (container,) = listed(cli, engine)
    document = inspect(cli, engine, container)
    assert (document["State"]["ExitCode"], document["State"]["Status"]) == (3, "exited")
    assert document["State"]["StartedAt"] < document["State"]["FinishedAt"]
    assert document["Args"] == ["-c", "echo left > /tmp/left; echo last words; exit 3"]
    assert {"A=b", "Q=1"} <= set(document["Config"]["Env"])
    assert (document["Config"]["User"], document["Config"]["WorkingDir"]) == ("1000:50", "/w")
    assert (document["HostConfig"]["NetworkMode"], document["LogPath"]) == ("none", "")
    assert cli.ok(engine.host, "logs", container) == "last words\n"
    image = cli.ok(engine.host, "commit", container, "rescued:1").strip()
    build(cli, engine, "FROM rescued:1\nRUN cat /tmp/left >&2; exit 1\n")
    rescued, _ = listed(cli, engine)
    assert cli.run(engine.host, "logs", rescued).stderr == b"left\n"
    document = inspect(cli, engine, "rescued:1")
    assert document["Id"] == image
    assert {"A=b", "Q=1"} <= set(document["Config"]["Env"])
    cli.ok(engine.host, "rm", container, rescued)
    assert listed(cli, engine) == []
    result = cli.run(engine.host, "logs", container)
    assert (result.returncode, b"No such container" in result.stderr) == (1, True)
    assert list(pathlib.Path(engine.data_root, "logs").iterdir()) == []
    assert leftovers(engine.data_root) == []


def test_containers_that_are_kept(cli: DockerCli, engine: Daemon) -> None:
    printed = build(cli, engine, DOCKERFILE, "--rm=false")
    assert "Removing" not in printed
    failed, ran, *others = listed(cli, engine)
    assert len(others) == 4
    result = cli.run(engine.host, "logs", ran)
    assert (result.stdout, result.stderr) == (b"out\nend", b"bad\n")
    assert cli.ok(engine.host, "logs", others[0]) == ""
    assert cli.ok(engine.host, "logs", "--tail", "1", "-f", ran) == "end"
    assert cli.ok(engine.host, "logs", "--since", "1h", "--until", "30m", ran) == ""
    stamped = cli.ok(engine.host, "logs", "-t", "--details", failed)
    assert stamped[19] == "."
    assert stamped.endswith("Z  last words\n")
    assert inspect(cli, engine, ran)["State"]["ExitCode"] == 0
    cli.ok(engine.host, "rm", failed, ran, *others)


def test_nothing_is_kept_by_force(cli: DockerCli, engine: Daemon) -> None:
    build(cli, engine, DOCKERFILE, "--force-rm")
    assert listed(cli, engine) == []


def test_a_program_that_is_not_there(cli: DockerCli, engine: Daemon) -> None:
    build(cli, engine, 'FROM base:1\nRUN ["/nope"]\n')
    (container,) = listed(cli, engine)
    assert inspect(cli, engine, container)["State"]["ExitCode"] == 127
    assert cli.ok(engine.host, "logs", container) == ""
    cli.ok(engine.host, "rm", container)


def test_bytes_that_are_no_text(cli: DockerCli, engine: Daemon) -> None:
    data = context("FROM base:1\nRUN : X; printf '\\200\\n'; exit 5\n").replace(b": X", b": \xff")
    result = cli.run(engine.host, "build", "--network", "none", "-", data=data)
    assert b"returned a non-zero code: 5" in result.stderr
    (container,) = listed(cli, engine)
    assert cli.run(engine.host, "logs", container).stdout == b"\x80\n"
    assert ": \ufffd;" in inspect(cli, engine, container)["Args"][1]
    cli.ok(engine.host, "rm", container)


def test_docker_py(engine: Daemon) -> None:
    client = docker.DockerClient(base_url=f"http+{engine.host}")
    try:
        data = io.BytesIO(context(DOCKERFILE))
        with pytest.raises(docker.errors.BuildError):
            client.images.build(fileobj=data, custom_context=True, nocache=True, network_mode="none", rm=True)
        (container,) = client.containers.list(all=True)
        assert container.attrs["State"]["ExitCode"] == 3
        assert container.logs() == b"last words\n"
        assert container.logs(stdout=False) == b""
        assert list(container.logs(stream=True, follow=True, tail=1)) == [b"last words\n"]
        assert b"Z last words" in container.logs(timestamps=True, since=1)
        assert container.commit("pyrescued").attrs["Config"]["User"] == "1000:50"
        container.remove()
    finally:
        client.close()
