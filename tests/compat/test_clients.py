"""Unmodified clients against the daemon: what a user's own programs and scripts do."""

import asyncio
import io
import json
import pathlib
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from support.bases import busybox_base
from support.builder import context
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.compat

# Where there is no docker program the tests are there all the same, to be skipped with a reason, or to fail under CI.
CLIS = docker_clis() or (DockerCli("docker", ()),)

DOCKERFILE = """\
FROM base:1 AS made
RUN mkdir /made && echo made > /made/file && ln /made/file /made/link
FROM base:1
ARG WHO=nobody
LABEL color=blue
ENV GREETING=hello WHO=$WHO
COPY --from=made /made /made
COPY --chown=user data /data
USER user
RUN id -un > /home/user/who
CMD ["cat", "/made/file"]
"""
FILES = {"data/a": "a\n", "data/sub/b": "b\n"}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("engine"))) as running:
        status, body = request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
        assert status == 200, body
        assert b"error" not in body, body
        yield running


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> str:
    """Return a directory that holds the context of `DOCKERFILE`."""
    for name, text in {**FILES, "Dockerfile": DOCKERFILE}.items():
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path / "context")


@pytest.fixture(params=CLIS, ids=str)
def cli(request: pytest.FixtureRequest) -> DockerCli:
    chosen: DockerCli = request.param
    return chosen


def inspect(cli: DockerCli, engine: Daemon, name: str) -> dict[str, Any]:
    (document,) = json.loads(cli.ok(engine.host, "inspect", name))
    assert isinstance(document, dict)
    return document


def test_docker_version_and_info(cli: DockerCli, engine: Daemon) -> None:
    assert cli.ok(engine.host, "version", "--format", "{{.Server.APIVersion}}").strip() == "1.51"
    assert cli.ok(engine.host, "info", "--format", "{{.OSType}}").strip() == "linux"


def test_docker_build(cli: DockerCli, engine: Daemon, directory: str, tmp_path: pathlib.Path) -> None:
    iidfile = tmp_path / "iid"
    arguments = ["build", "-t", "built", "-t", "ns/built:2", "--build-arg", "WHO=you", "--label", "size=small"]
    printed = cli.ok(engine.host, *arguments, "--iidfile", str(iidfile), directory)
    image = iidfile.read_text()
    assert "Step 1/" in printed
    assert f"Successfully built {image[7:19]}\n" in printed
    assert "Successfully tagged built:latest\nSuccessfully tagged ns/built:2\n" in printed
    document = inspect(cli, engine, "built")
    assert document["Id"] == image
    assert document["RepoTags"] == ["built:latest", "ns/built:2"]
    assert {"GREETING=hello", "WHO=you"} <= set(document["Config"]["Env"])
    assert document["Config"]["Labels"] == {"color": "blue", "size": "small"}
    assert document["Config"]["User"] == "user"
    assert document["Config"]["Cmd"] == ["cat", "/made/file"]


def test_docker_build_again_is_the_same_image(cli: DockerCli, engine: Daemon, directory: str) -> None:
    first = cli.ok(engine.host, "build", "-q", directory)
    again = cli.ok(engine.host, "build", directory)
    assert f"Successfully built {first[7:19]}\n" in again
    assert " ---> Using cache\n" in again
    assert "Running in" not in again


def test_docker_build_from_a_tar_on_standard_input(cli: DockerCli, engine: Daemon) -> None:
    data = context("FROM base:1\nCOPY x /x\nRUN cat /x\n", {"x": "from the tar\n"})
    assert "from the tar\n" in cli.ok(engine.host, "build", "--no-cache", "-", data=data)


def test_docker_build_with_a_dockerfile_on_standard_input(cli: DockerCli, engine: Daemon, directory: str) -> None:
    dockerfile = b"FROM base:1\nCOPY . /all\nRUN ls -a /all\n"
    printed = cli.ok(engine.host, "build", "--no-cache", "-f", "-", directory, data=dockerfile)
    assert "Successfully built" in printed
    # The client sends the Dockerfile under a name of its own, and hides it by a .dockerignore.
    assert ".dockerfile." not in printed.partition("Step 3/3")[2]


def test_docker_build_that_fails_gives_the_exit_code(cli: DockerCli, engine: Daemon) -> None:
    result = cli.run(engine.host, "build", "-", data=context("FROM base:1\nRUN exit 3\n"))
    assert result.returncode == 3
    assert b"The command '/bin/sh -c exit 3' returned a non-zero code: 3" in result.stderr


def test_docker_build_of_a_bad_dockerfile(cli: DockerCli, engine: Daemon) -> None:
    result = cli.run(engine.host, "build", "-", data=context("FROM base:1\nFOO bar\n"))
    assert result.returncode == 1
    assert b"dockerfile parse error line 2: unknown instruction: FOO" in result.stderr


def test_docker_images(cli: DockerCli, engine: Daemon, directory: str) -> None:
    image = cli.ok(engine.host, "build", "-q", "-t", "listed:1", "-t", "listed:2", directory).strip()
    template = ("--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}")
    assert {f"listed:1 {image}", f"listed:2 {image}"} <= set(cli.ok(engine.host, "images", *template).splitlines())
    assert set(cli.ok(engine.host, "images", *template, "listed").splitlines()) == {
        f"listed:1 {image}",
        f"listed:2 {image}",
    }
    assert cli.ok(engine.host, "images", "-q", "--no-trunc", "listed:1").split() == [image]
    assert image in cli.ok(engine.host, "images", "-q", "--no-trunc", "--filter", "label=color=blue").split()
    assert image not in cli.ok(engine.host, "images", "-q", "--no-trunc", "--filter", "dangling=true").split()
    assert len(cli.ok(engine.host, "images", "-a", "-q").split()) >= len(cli.ok(engine.host, "images", "-q").split())


def test_docker_history(cli: DockerCli, engine: Daemon, directory: str) -> None:
    cli.ok(engine.host, "build", "-q", "-t", "remembered", directory)
    lines = cli.ok(engine.host, "history", "--no-trunc", "--format", "{{.CreatedBy}}", "remembered").splitlines()
    assert lines[0] == '/bin/sh -c #(nop)  CMD ["cat" "/made/file"]'
    assert any(line.endswith("/bin/sh -c id -un > /home/user/who") for line in lines)


def test_docker_tag_and_rmi(cli: DockerCli, engine: Daemon, directory: str) -> None:
    image = cli.ok(engine.host, "build", "-q", "-t", f"first-{cli}", directory).strip()
    cli.ok(engine.host, "tag", f"first-{cli}", f"localhost:5000/second-{cli}:3")
    assert f"localhost:5000/second-{cli}:3" in inspect(cli, engine, image)["RepoTags"]
    assert f"Untagged: first-{cli}:latest\n" in cli.ok(engine.host, "rmi", f"first-{cli}")
    missing = cli.run(engine.host, "rmi", f"first-{cli}")
    assert missing.returncode == 1
    assert f"No such image: first-{cli}".encode() in missing.stderr
    assert f"Untagged: localhost:5000/second-{cli}:3\n" in cli.ok(engine.host, "rmi", f"localhost:5000/second-{cli}:3")


def test_docker_rmi_deletes_what_has_no_name_left(cli: DockerCli, engine: Daemon) -> None:
    data = context(f"FROM base:1\nLABEL only={cli}\n")
    image = cli.ok(engine.host, "build", "-q", "-t", "gone", "-", data=data).strip()
    assert cli.ok(engine.host, "rmi", "gone").splitlines()[:2] == ["Untagged: gone:latest", f"Deleted: {image}"]
    assert cli.run(engine.host, "inspect", image).returncode == 1


def test_docker_save_and_load(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path) -> None:
    data = context(f"FROM base:1\nRUN echo {cli} > /name\n")
    image = cli.ok(engine.host, "build", "-q", "-t", f"saved-{cli}:1", "-", data=data).strip()
    path = tmp_path / "saved.tar"
    cli.ok(engine.host, "save", "-o", str(path), f"saved-{cli}:1")
    with tarfile.open(path) as tar:
        manifest = json.load(tar.extractfile("manifest.json") or io.BytesIO())
        assert manifest[0]["RepoTags"] == [f"saved-{cli}:1"]
        assert set(manifest[0]["Layers"]) <= set(tar.getnames())
    cli.ok(engine.host, "rmi", f"saved-{cli}:1")
    assert cli.run(engine.host, "inspect", image).returncode == 1
    assert f"Loaded image: saved-{cli}:1" in cli.ok(engine.host, "load", "-i", str(path))
    assert inspect(cli, engine, f"saved-{cli}:1")["Id"] == image


def test_docker_import(cli: DockerCli, engine: Daemon) -> None:
    name = f"imported-{cli}:1"
    change = ("--change", 'CMD ["sh"]', "--change", "ENV A=b", "--message", "from a tar")
    image = cli.ok(engine.host, "import", *change, "-", name, data=busybox_base()).strip()
    document = inspect(cli, engine, name)
    assert (document["Id"], document["Comment"]) == (image, "from a tar")
    assert document["Config"]["Cmd"] == ["sh"]
    assert "A=b" in document["Config"]["Env"]
    built = cli.ok(engine.host, "build", "--no-cache", "-", data=context(f"FROM {name}\nRUN echo $A$A\n"))
    assert "\nbb\n" in built


def test_docker_inspect_of_nothing(cli: DockerCli, engine: Daemon) -> None:
    result = cli.run(engine.host, "inspect", "nope")
    assert result.returncode == 1
    assert b"No such object: nope" in result.stderr or b"no such object: nope" in result.stderr


def test_docker_py(engine: Daemon, directory: str) -> None:
    import docker
    import docker.errors

    client = docker.DockerClient(base_url=engine.host)
    try:
        image, log = client.images.build(path=directory, tag="py:1", buildargs={"WHO": "py"}, labels={"by": "py"})
        assert any("Successfully built" in entry.get("stream", "") for entry in log)
        assert image.tags == ["py:1"]
        assert image.labels == {"color": "blue", "by": "py"}
        assert image.id in {listed.id for listed in client.images.list()}
        assert [listed.id for listed in client.images.list(name="py")] == [image.id]
        assert [listed.id for listed in client.images.list(filters={"label": "by=py"})] == [image.id]
        assert client.images.get("py:1").id == client.images.get(image.short_id).id == image.id
        data = b"".join(image.save(named=True))
        client.images.remove("py:1")
        with pytest.raises(docker.errors.ImageNotFound):
            client.images.get("py:1")
        (loaded,) = client.images.load(data)
        assert loaded.id == image.id
        with pytest.raises(docker.errors.BuildError, match="returned a non-zero code: 3"):
            client.images.build(fileobj=io.BytesIO(b"FROM base:1\nRUN exit 3\n"), rm=True)
    finally:
        client.close()


def test_aiodocker(engine: Daemon) -> None:
    import aiodocker

    async def use() -> None:
        data = context(DOCKERFILE, FILES)
        async with aiodocker.Docker(url=engine.host) as client:
            messages = await client.images.build(fileobj=io.BytesIO(data), encoding="identity", tag="aio:1")
            assert any("Successfully tagged aio:1" in message.get("stream", "") for message in messages)
            (listed,) = await client.images.list(filters={"reference": ["aio"]})
            assert listed["RepoTags"] == ["aio:1"]
            assert (await client.images.inspect("aio:1"))["Id"] == listed["Id"]
            streamed = [
                message
                async for message in client.images.build(
                    fileobj=io.BytesIO(data), encoding="identity", tag="aio:2", stream=True
                )
            ]
            assert {"aux": {"ID": listed["Id"]}} in streamed

    asyncio.run(use())
