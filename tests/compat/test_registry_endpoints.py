"""docker programs push to Debian's docker-registry and pull from it, through the daemon."""

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from support.builder import context
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.unixhttp import request

pytestmark = pytest.mark.compat("docker-registry")

DOCKERFILE = "FROM scratch\nCOPY a /a\nLABEL made=here\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("registry")), accounts=True) as running:
        yield running


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        yield running


def _logged_in(cli: DockerCli, ours: Daemon, registry: DockerRegistry, home: Path) -> dict[str, str]:
    """Log in with `cli`; return the environment in which it is."""
    environment = {"HOME": str(home), "DOCKER_CONFIG": str(home)}
    arguments = ("login", "--username", USER, "--password-stdin", registry.host)
    result = cli.run(ours.host, *arguments, data=PASSWORD.encode(), environment=environment)
    assert b"Login Succeeded" in result.stdout, result.stderr
    return environment


@pytest.mark.parametrize("cli", docker_clis(), ids=str)
def test_push_remove_pull_and_build(cli: DockerCli, ours: Daemon, registry: DockerRegistry, tmp_path: Path) -> None:
    environment = _logged_in(cli, ours, registry, tmp_path)
    name = f"{registry.host}/team/{'-'.join(map(str, cli.version))}:1"

    def run(*arguments: str, data: bytes | None = None) -> str:
        result = cli.run(ours.host, *arguments, data=data, environment=environment)
        assert result.returncode == 0, (arguments, result.stderr)
        return result.stdout.decode()

    run("build", "--tag", name, "-", data=context(DOCKERFILE, {"a": str(cli)}))
    image = run("image", "inspect", "--format", "{{.Id}}", name)
    assert "1: digest: sha256:" in run("push", name)
    assert "Layer already exists" in run("push", name)
    digests = run("image", "inspect", "--format", "{{.RepoDigests}}", name)
    run("rmi", "--force", name)
    pulled = run("pull", name)
    assert f"Status: Downloaded newer image for {name}" in pulled
    assert "Status: Image is up to date for" in run("pull", name)
    assert run("image", "inspect", "--format", "{{.Id}}", name) == image
    assert run("image", "inspect", "--format", "{{.RepoDigests}}", name) == digests
    run("rmi", "--force", name)
    built = run("build", "--pull", "-", data=context(f"FROM {name}\nCOPY b /b\n", {"b": "b"}))
    assert "Successfully built" in built


@pytest.mark.parametrize("cli", docker_clis(), ids=str)
def test_without_the_password(cli: DockerCli, ours: Daemon, registry: DockerRegistry, tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    arguments = ("login", "--username", USER, "--password-stdin", registry.host)
    assert cli.run(ours.host, *arguments, data=b"wrong", environment=environment).returncode != 0
    result = cli.run(ours.host, "pull", f"{registry.host}/team/x:1", environment=environment)
    assert result.returncode != 0
    assert PASSWORD.encode() not in result.stderr + result.stdout


def test_missing_and_unreachable(ours: Daemon, registry: DockerRegistry) -> None:
    status, body = request(ours.socket, "POST", "/images/create?fromImage=127.0.0.1:1/x&tag=1", b"")
    assert (status, b"connection refused" in body) == (500, True)
    status, body = request(ours.socket, "GET", f"/distribution/{registry.host}/nope:1/json")
    assert status in {401, 403, 404}


def test_docker_py(ours: Daemon, registry: DockerRegistry) -> None:
    client = docker.DockerClient(base_url=ours.host, version="1.41")
    try:
        login = client.login(USER, PASSWORD, registry=registry.host)
        assert login["Status"] == "Login Succeeded"
        status, _ = request(ours.socket, "POST", f"/build?t={registry.host}/py:1", context(DOCKERFILE, {"a": "py"}))
        assert status == 200
        assert "digest: sha256:" in client.images.push(f"{registry.host}/py", tag="1")
        before = client.images.get(f"{registry.host}/py:1").id
        client.images.remove(f"{registry.host}/py:1", force=True)
        assert client.images.pull(f"{registry.host}/py", tag="1").id == before
    finally:
        client.close()
