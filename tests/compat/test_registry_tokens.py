"""Registries that send their clients to a token server, through the whole engine, the daemon and docker programs."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import Forbidden, ImagewrightError, NotFound
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, Settings, for_registry, no_credentials
from support.builder import context
from support.certificates import Authority
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.token_server import TokenServer, token_server

pytestmark = pytest.mark.compat("docker-registry", "openssl")

# Several layers, so that several threads want a token at the same time.
DOCKERFILE = "FROM scratch\nCOPY a /a\nCOPY a /b\nCOPY a /c\nCOPY a /d\n"


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    authority = Authority(str(tmp_path_factory.mktemp("authority")))
    server = TokenServer({USER: PASSWORD}, public=["team/public"], signing=authority.issue_rsa("tokens"))
    with token_server(server) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("registry")), tokens=tokens) as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root"), registry=Settings(certificates="/nonexistent", environment={})) as engine:
        yield engine


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        yield running


def rounds(tokens: TokenServer) -> int:
    """Return how often a token was asked for since the last call."""
    count = len(tokens.server.requests)
    tokens.server.requests.clear()
    return count


def pushed(engine: Engine, registry: DockerRegistry, repository: str, keychain: Keychain) -> tuple[Reference, str]:
    name = Reference.parse(f"{registry.host}/{repository}:1")
    image = engine.build(io.BytesIO(context(DOCKERFILE, {"a": repository})), BuildRequest(tags=(name,)))
    engine.push(name, keychain=keychain)
    return name, str(image)


@pytest.mark.parametrize("kind", ["password", "identity"])
def test_there_and_back(engine: Engine, registry: DockerRegistry, tokens: TokenServer, kind: str) -> None:
    credential = Credential(USER, PASSWORD)
    if kind == "identity":
        credential = Credential(identity_token=engine.login(registry.host, credential).identity_token)
        assert credential
    keychain = for_registry(registry.host, credential)
    rounds(tokens)
    name, image = pushed(engine, registry, f"team/{kind}", keychain)
    assert rounds(tokens) == 1
    engine.remove(image, force=True)
    assert str(engine.pull(name, keychain=keychain)) == image
    assert rounds(tokens) == 1
    found = engine.distribution(name, keychain=keychain)
    assert {found.digest} == {one.digest for one in engine.inspect(image).digests}
    assert rounds(tokens) == 1


def test_nobody_in_particular(engine: Engine, registry: DockerRegistry, tokens: TokenServer) -> None:
    known = for_registry(registry.host, Credential(USER, PASSWORD))
    public, image = pushed(engine, registry, "team/public", known)
    private, _ = pushed(engine, registry, "team/private", known)
    engine.remove(image, force=True)
    rounds(tokens)
    assert str(engine.pull(public)) == image
    assert rounds(tokens) == 1
    with pytest.raises(NotFound, match="pull access denied"):
        engine.pull(private)
    assert rounds(tokens) == 1
    with pytest.raises(NotFound, match="pull access denied"):
        engine.pull(private, all_tags=True)
    assert rounds(tokens) == 1
    other = public.with_tag("2")
    engine.tag(image, other)
    with pytest.raises(ImagewrightError, match="denied"):
        engine.push(other, keychain=no_credentials)
    assert rounds(tokens) == 1
    with pytest.raises(ImagewrightError):
        engine.distribution(private)
    assert rounds(tokens) == 1
    dockerfile = f"FROM {private.registry}/team/private:2\n"
    with pytest.raises(ImagewrightError, match="denied"):
        engine.build(io.BytesIO(context(dockerfile)), BuildRequest())
    assert rounds(tokens) == 1


def test_a_wrong_password(engine: Engine, registry: DockerRegistry, tokens: TokenServer) -> None:
    wrong = Credential(USER, "wrong-word")
    rounds(tokens)
    with pytest.raises(Forbidden):
        engine.login(registry.host, wrong)
    assert rounds(tokens) == 1
    with pytest.raises(Forbidden) as caught:
        engine.pull(Reference.parse(f"{registry.host}/team/x:1"), keychain=for_registry(registry.host, wrong))
    assert rounds(tokens) == 1
    assert "wrong-word" not in str(caught.value)


def test_an_identity_token_that_was_revoked(engine: Engine, registry: DockerRegistry, tokens: TokenServer) -> None:
    identity = engine.login(registry.host, Credential(USER, PASSWORD)).identity_token
    tokens.refresh_tokens.clear()
    rounds(tokens)
    with pytest.raises(Forbidden) as caught:
        engine.pull(
            Reference.parse(f"{registry.host}/team/x:1"),
            keychain=for_registry(registry.host, Credential(identity_token=identity)),
        )
    assert rounds(tokens) == 1
    assert identity not in str(caught.value)


@pytest.mark.parametrize("cli", docker_clis(), ids=str)
def test_docker_programs(
    cli: DockerCli, ours: Daemon, registry: DockerRegistry, tokens: TokenServer, tmp_path: Path
) -> None:
    environment = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}
    name = f"{registry.host}/cli/{'-'.join(map(str, cli.version))}:1"

    def run(*arguments: str, data: bytes | None = None, fails: bool = False) -> str:
        result = cli.run(ours.host, *arguments, data=data, environment=environment)
        assert (result.returncode != 0) == fails, (arguments, result.stderr)
        assert PASSWORD.encode() not in result.stdout + result.stderr
        return (result.stdout + result.stderr).decode()

    rounds(tokens)
    run("login", "-u", USER, "--password-stdin", registry.host, data=b"wrong", fails=True)
    assert rounds(tokens) == 1
    run("pull", name, fails=True)
    assert rounds(tokens) == 1
    assert "Login Succeeded" in run("login", "-u", USER, "--password-stdin", registry.host, data=PASSWORD.encode())
    assert rounds(tokens) == 1
    # The daemon hands out an identity token, and the program keeps that in place of the password.
    entry = json.loads((tmp_path / "config.json").read_text())["auths"][registry.host]
    assert entry["identitytoken"] in tokens.refresh_tokens

    run("build", "--tag", name, "-", data=context(DOCKERFILE, {"a": str(cli)}))
    image = run("image", "inspect", "--format", "{{.Id}}", name)
    assert "digest: sha256:" in run("push", name)
    assert rounds(tokens) == 1
    run("rmi", "--force", name)
    run("pull", name)
    assert rounds(tokens) == 1
    assert run("image", "inspect", "--format", "{{.Id}}", name) == image
    run("rmi", "--force", name)
    run("build", "--pull", "-", data=context(f"FROM {name}\nCOPY b /b\n", {"b": "b"}))
    assert rounds(tokens) == 1
    run("logout", registry.host)
    run("rmi", "--force", name)
    run("pull", name, fails=True)
    assert rounds(tokens) == 1
