"""Programs and libraries that were written for the Docker engine, against the API over a fake engine."""

import asyncio
import contextlib
import io
import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.engine import Happening
from support.clients import DockerCli, docker_clis
from unit.api.fake_daemon import FakeDaemon, context, running
from unit.api.fake_engine import CREATED_NS, FakeEngine

pytestmark = pytest.mark.compat

DOCKERFILE = "FROM scratch\nENV A=1\nRUN echo hello\nRUN warn careful\n"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[FakeDaemon]:
    with running(str(tmp_path / "api.sock"), FakeEngine()) as daemon:
        yield daemon


@pytest.fixture(params=docker_clis(), ids=str)
def docker(request: pytest.FixtureRequest, daemon: FakeDaemon, tmp_path: Path) -> "Docker":
    program: DockerCli = request.param
    return Docker(program, daemon, tmp_path)


class Docker:
    """A docker program with an empty configuration."""

    def __init__(self, program: DockerCli, daemon: FakeDaemon, home: Path) -> None:
        self.program = program
        self.daemon = daemon
        self.engine = daemon.engine
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "DOCKER_HOST": daemon.host,
            "DOCKER_BUILDKIT": "0",
        }

    def run(self, *arguments: str, data: bytes | None = None, status: int = 0) -> str:
        done = subprocess.run(
            [self.program.path, *arguments],
            input=data if data is not None else b"",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self.environment,
            timeout=30,
            check=False,
        )
        text = done.stdout.decode()
        assert done.returncode == status, text
        return text

    def directory(self, dockerfile: str = DOCKERFILE) -> str:
        directory = self.home / "context"
        directory.mkdir(exist_ok=True)
        (directory / "Dockerfile").write_text(dockerfile)
        return str(directory)


def test_version(docker: Docker) -> None:
    text = docker.run("version")
    assert re.search(r"API version: +1\.51 \(minimum version 1\.21\)", text)


def test_info(docker: Docker) -> None:
    docker.engine.add("a:1")
    text = docker.run("info")
    assert "Images: 1" in text
    assert "Storage Driver: overlay2" in text
    assert "ERROR" not in text


def test_build(docker: Docker) -> None:
    identifier = docker.home / "id"
    text = docker.run("build", "-t", "a:1", "-t", "b/c", "--iidfile", str(identifier), docker.directory())
    (image,) = docker.engine.images
    for part in (
        "Step 3/4 : RUN echo hello",
        "\nhello\n",
        "careful",
        "Successfully tagged a:1",
        "Successfully tagged b/c:latest",
    ):
        assert part in text
    assert identifier.read_text() == str(image)


def test_build_quietly(docker: Docker) -> None:
    text = docker.run("build", "-q", docker.directory())
    assert text.splitlines()[-1] == str(next(iter(docker.engine.images)))


def test_build_with_everything_that_works(docker: Docker) -> None:
    settings = ["--build-arg", "A=1", "--label", "l=v", "--network", "none", "--target", "x"]
    arguments = [*settings, "--no-cache", "--force-rm", "--compress", "-f", "-"]
    # The fake engine cannot read the archive that the program makes then, which ends inside its last member.
    docker.run("build", *arguments, docker.directory(), data=b"FROM scratch\n", status=1)
    (request,) = docker.engine.requests
    assert (request.build_args, request.labels, request.target) == ({"A": "1"}, {"l": "v"}, "x")
    assert (request.no_cache, request.force_remove, request.network_mode) == (True, True, "none")
    assert request.dockerfile.startswith(".dockerfile.")


def test_build_from_a_pipe(docker: Docker) -> None:
    assert "Successfully built" in docker.run("build", "-", data=b"FROM scratch\n")
    assert "Successfully built" in docker.run("build", "-", data=context("FROM scratch"))


def test_build_fails(docker: Docker) -> None:
    text = docker.run("build", docker.directory("FROM scratch\nRUN exit 3\n"), status=3)
    assert "The command '/bin/sh -c exit 3' returned a non-zero code: 3" in text
    text = docker.run("build", docker.directory("FROM scratch\nFOO\n"), status=1)
    assert "dockerfile parse error line 2: unknown instruction: FOO" in text
    assert "Exited (3)" in docker.run("ps", "-a")
    container = docker.engine.stopped[0].id
    assert json.loads(docker.run("inspect", container))[0]["State"]["ExitCode"] == 3
    docker.run("rm", container)
    assert not docker.engine.stopped


def test_build_is_interrupted(docker: Docker) -> None:
    command = [docker.program.path, "build", docker.directory("FROM scratch\nRUN wait\n")]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=docker.environment
    ) as client:
        assert docker.engine.waiting.wait(10)
        client.terminate()
        assert docker.engine.ended.wait(5)
    assert docker.engine.cancelled.is_set()


def test_images(docker: Docker) -> None:
    image = docker.engine.add("a:1", "reg.example/b:2")
    docker.engine.add()
    lines = docker.run("images", "--no-trunc").splitlines()
    # The old program shows the names of one image in any order.
    names = [tuple(line.split()[:2]) for line in lines[1:]]
    assert sorted(names) == [("<none>", "<none>"), ("a", "1"), ("reg.example/b", "2")]
    assert str(image) in lines[1]
    docker.run("images", "-a", "--filter", "label=x", "--filter", "dangling=true", "a*")
    query = docker.engine.queries[-1]
    assert (query.all, query.labels, query.dangling, query.references) == (True, ("x",), True, ("a*",))
    assert "Invalid filter 'foo'" in docker.run("images", "--filter", "foo=x", status=1)


def test_inspect_history_tag_remove(docker: Docker) -> None:
    image = docker.engine.add("a:1")
    assert json.loads(docker.run("inspect", "a:1"))[0]["Id"] == str(image)
    assert json.loads(docker.run("image", "inspect", image.short))[0]["RepoTags"] == ["a:1"]
    assert "echo hi" in docker.run("history", "a:1")
    docker.run("tag", "a:1", "x/y:2")
    assert "must be forced" in docker.run("rmi", str(image), status=1)
    text = docker.run("rmi", "-f", str(image))
    assert text.splitlines() == ["Untagged: a:1", "Untagged: x/y:2", f"Deleted: {image}"]
    assert "No such image: a:1" in docker.run("rmi", "a:1", status=1)
    docker.run("inspect", "nope", status=1)


def test_save_load_import(docker: Docker) -> None:
    image = docker.engine.add("a:1")
    archive = str(docker.home / "a.tar")
    docker.run("save", "-o", archive, "a:1")
    assert Path(archive).read_bytes() == b"head:" + docker.engine.images[image].config_bytes
    assert "No such image: nope" in docker.run("save", "-o", archive, "nope", status=1)
    assert "Loaded image: loaded:1" in docker.run("load", "-i", archive)
    assert "sha256:" in docker.run("import", "-c", "ENV A=1", "-m", "text", "-", "r:t", data=b"tar")
    assert docker.engine.calls[-1][1:5] == (
        b"tar",
        docker.engine.images[image].tags[0].parse("r:t"),
        ("ENV A=1",),
        "text",
    )


def test_builder_prune(docker: Docker) -> None:
    assert "Total reclaimed space: 0B" in docker.run("builder", "prune", "-f")


def test_disk_usage_and_prune(docker: Docker) -> None:
    docker.engine.add("a:1")
    dangling = docker.engine.add()
    docker.run("build", docker.directory("FROM scratch\nRUN exit 3\n"), status=3)
    lines = docker.run("system", "df").splitlines()
    assert lines[1].split()[:2] == ["Images", "2"]
    assert lines[2].split()[:2] == ["Containers", "1"]
    assert "gifted_lehmann" in docker.run("system", "df", "-v")
    text = docker.run("image", "prune", "-f", "--filter", "label!=x", "--filter", "until=1h")
    assert f"deleted: {dangling}" in text.lower()
    assert "1.234kB" in text
    assert docker.engine.calls[-1][:4] == ("prune", True, (), ("x",))
    docker.run("image", "prune", "-af", "--filter", "unused-for=168h")
    assert docker.engine.calls[-1] == ("prune", False, (), (), None, 168 * 3600 * 10**9)


def test_events(docker: Docker) -> None:
    for seconds, name in enumerate(("a:1", "b:1")):
        docker.engine.tell(
            Happening(
                type="image",
                action="tag",
                id="sha256:1",
                attributes={"name": name},
                time_ns=CREATED_NS + seconds * 10**9,
            )
        )
    text = docker.run("events", "--since", "2023-11-14T22:13:00Z", "--until", "1h", "--filter", "image=b")
    assert text.rstrip().endswith(" image tag sha256:1 (name=b:1)")
    assert len(text.splitlines()) == 1
    docker.engine.watching.clear()
    command = [docker.program.path, "events", "--format", "{{.Actor.Attributes.name}}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=docker.environment) as client:
        assert docker.engine.watching.wait(10)
        docker.engine.tell(docker.engine.happenings[0])
        assert client.stdout is not None
        assert client.stdout.readline() == b"a:1\n"
        docker.engine.ended.clear()
        client.terminate()
        assert docker.engine.ended.wait(5)


def test_commit(docker: Docker) -> None:
    docker.run("build", docker.directory("FROM scratch\nRUN exit 3\n"), status=3)
    container = docker.engine.stopped[0].id
    text = docker.run("commit", "-m", "text", "-a", "me", "-c", "ENV A=1", "gifted_lehmann", "r:t")
    image = next(image for image, stored in docker.engine.images.items() if stored.tags)
    assert text.splitlines() == [str(image)]
    assert docker.engine.calls[-1][:2] == ("commit", container)
    assert docker.engine.calls[-1][3:] == (("ENV A=1",), "text", "me")
    assert "No such container: nope" in docker.run("commit", "nope", status=1)
    assert container[:12] in docker.run("ps", "-a", "--filter", "status=exited", "--size")


def test_buildkit_of_the_old_program_finds_the_classic_builder(docker: Docker) -> None:
    if docker.program.version >= (23,):
        pytest.skip("newer programs ask a plugin")
    del docker.environment["DOCKER_BUILDKIT"]
    assert "Successfully built" in docker.run("build", docker.directory())


@pytest.fixture
def docker_py(daemon: FakeDaemon) -> Iterator[Any]:
    docker = pytest.importorskip("docker", reason="docker-py is not installed")
    client = docker.DockerClient(base_url=daemon.host)
    with contextlib.closing(client):
        yield client


def test_docker_py_looks_around(daemon: FakeDaemon, docker_py: Any) -> None:
    image = daemon.engine.add("a:1")
    assert docker_py.ping()
    assert docker_py.version()["ApiVersion"] == "1.51"
    assert docker_py.info()["Images"] == 1
    assert [one.id for one in docker_py.images.list(name="a", filters={"label": "x"})] == [str(image)]
    assert docker_py.images.get("a:1").tags == ["a:1"]
    assert docker_py.images.get("a:1").history()[0]["Id"] == str(image)
    assert docker_py.containers.list(all=True) == []
    assert docker_py.networks.list() == []
    assert docker_py.volumes.list() == []


def test_docker_py_builds(daemon: FakeDaemon, docker_py: Any) -> None:
    image, log = docker_py.images.build(
        fileobj=io.BytesIO(context(DOCKERFILE)), custom_context=True, tag="a:1", gzip=False
    )
    assert image.id == str(next(iter(daemon.engine.images)))
    assert "hello\n" in [message.get("stream") for message in log]
    image, _ = docker_py.images.build(fileobj=io.BytesIO(b"FROM scratch"), rm=True)
    assert image.id.startswith("sha256:")


def test_docker_py_is_told_what_went_wrong(docker_py: Any) -> None:
    import docker.errors

    with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 3"):
        docker_py.images.build(fileobj=io.BytesIO(b"FROM scratch\nRUN exit 3"))
    with pytest.raises(docker.errors.APIError, match="unknown instruction: FOO"):
        docker_py.images.build(fileobj=io.BytesIO(b"FROM scratch\nFOO"))
    with pytest.raises(docker.errors.ImageNotFound):
        docker_py.images.get("nope")


def test_docker_py_changes_things(daemon: FakeDaemon, docker_py: Any) -> None:
    image = daemon.engine.add("a:1")
    assert docker_py.images.get("a:1").tag("b", "2")
    assert b"".join(docker_py.images.get("a:1").save()).startswith(b"head:")
    docker_py.images.remove(str(image), force=True)
    assert not daemon.engine.images
    assert docker_py.images.load(b"tar")[0].tags == ["loaded:1"]


def test_aiodocker(daemon: FakeDaemon) -> None:
    aiodocker = pytest.importorskip("aiodocker", reason="aiodocker is not installed")
    image = daemon.engine.add("a:1")

    async def main() -> None:
        client = aiodocker.Docker(url=daemon.host)
        try:
            assert (await client.version())["ApiVersion"] == "1.51"
            assert (await client.system.info())["Images"] == 1
            assert [one["Id"] for one in await client.images.list(filters={"reference": ["a"]})] == [str(image)]
            assert (await client.images.inspect("a:1"))["Id"] == str(image)
            assert (await client.images.history("a:1"))[0]["Id"] == str(image)
            assert await client.images.tag("a:1", "x/y", tag="2")
            body = io.BytesIO(context(DOCKERFILE))
            log = await client.images.build(fileobj=body, encoding="identity", tag="b:1")
            assert {"stream": "hello\n"} in log
            with pytest.raises(aiodocker.DockerError, match="unknown instruction"):
                await client.images.build(fileobj=io.BytesIO(context("FOO")), encoding="identity", tag="c")
            await client.images.delete("b:1", force=True)
        finally:
            await client.close()

    asyncio.run(main())


def test_clients_side_by_side(docker: Docker) -> None:
    directory = docker.directory()
    builds = [
        threading.Thread(target=docker.run, args=("build", "-t", f"a:{number}", directory)) for number in range(8)
    ]
    for build in builds:
        build.start()
    for build in builds:
        build.join()
    assert {str(image.tags[0]) for image in docker.engine.images.values()} == {
        f"docker.io/library/a:{number}" for number in range(8)
    }


def test_docker_py_cleans_up(daemon: FakeDaemon, docker_py: Any) -> None:
    daemon.engine.add()
    daemon.engine.tell(Happening(type="image", action="tag", id="i", attributes={"name": "a"}, time_ns=CREATED_NS))
    assert docker_py.df()["LayersSize"] == 5678
    assert docker_py.images.prune(filters={"dangling": True})["SpaceReclaimed"] == 1234
    assert [event["Action"] for event in docker_py.events(since=1, until=CREATED_NS // 10**9 + 1, decode=True)] == [
        "tag"
    ]
    daemon.build("FROM scratch\nRUN exit 3")
    (container,) = docker_py.containers.list(all=True)
    assert (container.name, container.status) == ("gifted_lehmann", "exited")
    assert container.commit("r", "t", message="m", changes="ENV A=1").tags == ["r:t"]
    container.remove()
    assert not daemon.engine.stopped
