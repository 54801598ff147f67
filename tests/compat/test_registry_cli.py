"""The command line against a registry with TLS and accounts, as an engine of its own and in front of the daemon."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click.testing
import pytest

from imagewright.cli.main import program
from support.certificates import Authority
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.token_server import TokenServer, token_server

pytestmark = pytest.mark.compat("docker-registry", "openssl")


@dataclass(frozen=True)
class Place:
    registry: DockerRegistry
    certificates: str

    @property
    def host(self) -> str:
        return self.registry.host


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(str(tmp_path_factory.mktemp("authority")))


@pytest.fixture(scope="module")
def place(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    directory = tmp_path_factory.mktemp("registry")
    with docker_registry(str(directory), accounts=True, tls=authority.issue("server")) as running:
        own = directory / "certs.d" / running.host
        own.mkdir(parents=True)
        (own / "ca.crt").write_bytes(Path(authority.certificate).read_bytes())
        yield Place(running, str(directory / "certs.d"))


@pytest.fixture(scope="module")
def bearer(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    tokens = TokenServer({USER: PASSWORD}, signing=authority.issue_rsa("tokens"))
    with (
        token_server(tokens) as running,
        docker_registry(str(tmp_path_factory.mktemp("bearer")), tokens=running) as registry,
    ):
        yield registry


@pytest.fixture(scope="module")
def ours(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon")), "--certs-dir", place.certificates) as running:
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the user's Docker configuration, and programs of the user's own."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    return tmp_path / "config"


def imagewright(*arguments: str, data: str = "", fails: bool = False) -> str:
    """Run a command; return what it said, which never holds the password."""
    result = click.testing.CliRunner().invoke(program, arguments, input=data)
    assert (result.exit_code != 0) == fails, (arguments, result.output, result.exception)
    assert PASSWORD not in result.output
    return result.output


def context(directory: Path, dockerfile: str) -> str:
    directory.mkdir(exist_ok=True)
    (directory / "Dockerfile").write_text(dockerfile)
    return str(directory)


def config(home: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((home / "config.json").read_text())
    return document


def install_helper(home: Path) -> Path:
    """Install the credential helper `tests`, which keeps what it is given in files below the directory returned."""
    kept = home.parent / "kept"
    kept.mkdir()
    program = home.parent / "bin" / "docker-credential-tests"
    program.write_text(
        f"#!{os.path.realpath('/usr/bin/python3')}\n"
        "import json, os, sys, urllib.parse\n"
        f"top, data = {str(kept)!r}, sys.stdin.read().strip()\n"
        "path = lambda server: os.path.join(top, urllib.parse.quote(server, safe=''))\n"
        "verb = sys.argv[1]\n"
        "if verb == 'store':\n"
        "    open(path(json.loads(data)['ServerURL']), 'w').write(data)\n"
        "elif verb == 'list':\n"
        "    print(json.dumps({(e := json.load(open(os.path.join(top, n))))['ServerURL']: e['Username']"
        " for n in os.listdir(top)}))\n"
        "elif not os.path.exists(path(data)):\n"
        "    sys.exit(print('credentials not found in native keychain') or 1)\n"
        "elif verb == 'get':\n"
        "    print(open(path(data)).read())\n"
        "else:\n"
        "    os.unlink(path(data))\n"
    )
    program.chmod(0o755)
    home.mkdir(exist_ok=True)
    (home / "config.json").write_text('{"credsStore": "tests", "detachKeys": "ctrl-x"}')
    return kept


@pytest.fixture(params=["embedded", "daemon"])
def where(request: pytest.FixtureRequest, place: Place, ours: Daemon, tmp_path: Path) -> tuple[list[str], list[str]]:
    """The options that choose the engine, and those that tell it of registries."""
    if request.param == "daemon":
        return ["-H", ours.host], []
    return ["--data-root", str(tmp_path / "root")], ["--certs-dir", place.certificates]


@pytest.mark.parametrize("keeper", ["file", "helper"])
def test_there_and_back(
    where: tuple[list[str], list[str]], keeper: str, place: Place, home: Path, tmp_path: Path
) -> None:
    engine, registries = where
    both = [*engine, *registries]
    kept = install_helper(home) if keeper == "helper" else None
    name = f"{place.host}/cli/{'daemon' if engine[0] == '-H' else 'own'}-{keeper}"

    refusal = imagewright("login", *both, "-u", USER, "--password-stdin", place.host, data="wrong", fails=True)
    assert "401" in refusal or "unauthorized" in refusal
    assert not (home / "config.json").exists() or "auths" not in config(home)
    told = imagewright("login", *both, "-u", USER, "--password-stdin", f"https://{place.host}", data=PASSWORD)
    assert told.splitlines()[-1] == "Login Succeeded"
    assert ("unencrypted" in told) == (kept is None)
    if kept is not None:
        assert config(home) == {"credsStore": "tests", "detachKeys": "ctrl-x", "auths": {place.host: {}}}
        assert len(os.listdir(kept)) == 1
    assert "existing credentials" in imagewright("login", *both, place.host)

    image = imagewright(
        "build", *both, "-q", "-t", f"{name}:1", context(tmp_path / "a", f"FROM scratch\nLABEL a={keeper}\n")
    )
    imagewright("tag", *engine, f"{name}:1", f"{name}:2")
    told = imagewright("push", *both, "-a", name)
    assert f"The push refers to repository [{name}]" in told
    assert "\n1: digest: sha256:" in told
    assert "\n2: digest: sha256:" in told
    told = imagewright("rmi", *engine, f"{name}:1", f"{name}:2")
    assert f"Untagged: {name}:1\nUntagged: {name}:2\n" in told
    assert f"Deleted: {image.strip()}" in told

    assert imagewright("pull", *both, "-q", f"{name}:2") == f"{name}:2\n"
    told = imagewright("pull", *both, "-a", "--platform", "linux/amd64", name)
    assert f"Status: Downloaded newer image for {name}\n" in told
    assert imagewright("images", *engine, "-q", "--no-trunc", name) == image
    imagewright("rmi", *engine, f"{name}:1", f"{name}:2")
    assert "Pull complete" not in told
    told = imagewright("build", *both, "--pull", context(tmp_path / "b", f"FROM {name}:1\nLABEL b=1\n"))
    assert "Pulling from cli/" in told
    assert "Successfully built" in told

    assert imagewright("logout", place.host) == f"Removing login credentials for {place.host}\n"
    assert imagewright("logout", place.host) == f"Not logged in to {place.host}\n"
    assert kept is None or os.listdir(kept) == []
    assert config(home)["auths"] == {}
    imagewright("rmi", *engine, "-f", f"{name}:1")
    assert "no basic auth credentials" in imagewright("pull", *both, f"{name}:1", fails=True)
    assert "no basic auth credentials" in imagewright("build", *both, str(tmp_path / "b"), fails=True)


@pytest.mark.parametrize("cli", docker_clis(), ids=str)
@pytest.mark.parametrize("keeper", ["file", "helper"])
def test_the_docker_program_shares_the_login(
    cli: DockerCli, keeper: str, place: Place, ours: Daemon, home: Path
) -> None:
    """Both read what the other wrote, and take it away."""
    if keeper == "helper":
        install_helper(home)
    environment = {"HOME": str(home.parent), "DOCKER_CONFIG": str(home), "PATH": os.environ["PATH"]}
    name = f"{place.host}/cli/nothing:1"

    def docker(*arguments: str, data: bytes | None = None) -> str:
        result = cli.run(ours.host, *arguments, data=data, environment=environment)
        return (result.stdout + result.stderr).decode()

    assert "no basic auth credentials" in docker("pull", name)
    imagewright("login", "-H", ours.host, "-u", USER, "--password-stdin", place.host, data=PASSWORD)
    assert "not found" in docker("pull", name)
    docker("logout", place.host)
    assert "no basic auth credentials" in imagewright("pull", "-H", ours.host, name, fails=True)
    assert "Login Succeeded" in docker("login", "-u", USER, "--password-stdin", place.host, data=PASSWORD.encode())
    assert "not found" in imagewright("pull", "-H", ours.host, name, fails=True)
    imagewright("logout", place.host)
    assert "no basic auth credentials" in docker("pull", name)


@pytest.mark.parametrize("keeper", ["file", "helper"])
def test_an_identity_token_stands_for_the_password(
    keeper: str, bearer: DockerRegistry, ours: Daemon, home: Path, tmp_path: Path
) -> None:
    kept = install_helper(home) if keeper == "helper" else None
    own = ["--data-root", str(tmp_path / "root")]
    name = f"{bearer.host}/cli/{keeper}:1"
    for engine in (["-H", ours.host], own):
        imagewright("login", *engine, "-u", USER, "--password-stdin", bearer.host, data=PASSWORD)
        stored = (home / "config.json").read_text() if kept is None else next(kept.iterdir()).read_text()
        assert ("identitytoken" if kept is None else "<token>") in stored
        assert PASSWORD not in stored
        imagewright("build", *engine, "-t", name, context(tmp_path / "a", "FROM scratch\nLABEL a=1\n"))
        assert "digest: sha256:" in imagewright("push", *engine, name)
        imagewright("rmi", *engine, name)
        assert "Downloaded newer" in imagewright("pull", *engine, name)
        imagewright("rmi", *engine, name)
        imagewright("build", *engine, context(tmp_path / "b", f"FROM {name}\n"))
        imagewright("logout", bearer.host)


def test_a_helper_that_is_missing_hinders_nobody_else(ours: Daemon, place: Place, home: Path, tmp_path: Path) -> None:
    home.mkdir()
    (home / "config.json").write_text('{"credsStore": "nobody-has-this"}')
    for both in (["-H", ours.host], ["--data-root", str(tmp_path / "root"), "--certs-dir", place.certificates]):
        told = imagewright("pull", *both, f"{place.host}/x:1", fails=True)
        assert told.count("warning: error getting credentials: docker-credential-nobody-has-this is not installed") == 1
        assert "no basic auth credentials" in told
        told = imagewright("build", *both, context(tmp_path / "a", "FROM scratch\nLABEL a=1\n"))
        assert "Successfully built" in told
    told = imagewright("login", *both, "-u", USER, "--password-stdin", place.host, data=PASSWORD, fails=True)
    assert "error saving credentials: docker-credential-nobody-has-this is not installed" in told


def test_a_running_engine_has_its_own_settings(ours: Daemon) -> None:
    for option, value in (
        ("--registry-mirror", "http://x"),
        ("--insecure-registry", "x"),
        ("--certs-dir", "/x"),
    ):
        for command in (["pull", "x"], ["push", "x"], ["login", "x"], ["build", "."]):
            told = imagewright(*command, "-H", ours.host, option, value, fails=True)
            assert f"error: {option}: the engine at {ours.host} has settings of its own" in told
