"""Looking at registries, logging in, searching, what is told of transfers, and bases that are asked for anew."""

import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, Engine
from imagewright.errors import Forbidden, ImagewrightError, InvalidInput, NotFound
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Client, Credential, Keychain, Settings, for_registry
from support.builder import archive, context
from support.clients import docker_clis
from support.daemon import Daemon, daemon
from support.dockerd import dockerd
from support.loopback import Request, Response, loopback_server
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.twin import twin

pytestmark = pytest.mark.compat("docker-registry")

SETTINGS = Settings(certificates="/nonexistent", environment={})
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("registry")), accounts=True) as running:
        yield running


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine") / "root"), registry=SETTINGS) as engine:
        yield engine


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        yield running


@pytest.fixture
def keychain(registry: DockerRegistry) -> Keychain:
    return for_registry(registry.host, Credential(USER, PASSWORD))


def build(engine: Engine, dockerfile: str, *names: Reference, **changed: Any) -> Digest:
    data = io.BytesIO(context(dockerfile))
    return engine.build(data, BuildRequest(tags=names, **changed))


def test_distribution(engine: Engine, registry: DockerRegistry, keychain: Keychain) -> None:
    name = Reference.parse(f"{registry.host}/verbs/looked:1")
    image = build(engine, "FROM scratch\nLABEL looked=at\n", name)
    engine.push(name, keychain=keychain)
    found = engine.distribution(name, keychain=keychain)
    assert {found.digest} == {one.digest for one in engine.inspect(str(image)).digests}
    assert found.media_type in {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
    }
    machine = Platform("linux", engine.info().architecture)
    assert list(found.platforms) == [machine]
    by_digest = Reference(name.registry, name.repository, digest=found.digest)
    assert engine.distribution(by_digest, keychain=keychain) == found

    entries = [
        {
            "mediaType": found.media_type,
            "digest": str(found.digest),
            "size": found.size,
            "platform": {"os": "linux", "architecture": architecture},
        }
        for architecture in (machine.architecture, "s390x")
    ]
    document = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
    with Client(SETTINGS, keychain) as client:
        client.put_manifest(name.with_tag("many"), INDEX, document)
    found = engine.distribution(name.with_tag("many"), keychain=keychain)
    assert (found.media_type, found.digest, found.size) == (INDEX, Digest.of(document), len(document))
    assert list(found.platforms) == [machine, Platform("linux", "s390x")]
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64"):
        engine.pull(name.with_tag("many"), platform=Platform("linux", "riscv64"), keychain=keychain)
    # What is pulled by the index is known by the index.
    assert engine.pull(name.with_tag("many"), keychain=keychain) == image
    assert Digest.of(document) in {one.digest for one in engine.inspect(str(image)).digests}


def test_distribution_of_what_is_not_there(engine: Engine, registry: DockerRegistry, keychain: Keychain) -> None:
    name = Reference.parse(f"{registry.host}/verbs/nothing:1")
    with pytest.raises(NotFound):
        engine.distribution(name, keychain=keychain)
    with pytest.raises(Forbidden):
        engine.distribution(name)
    with pytest.raises(ImagewrightError, match="connection refused"):
        engine.distribution(Reference.parse("127.0.0.1:1/x"))


def test_login(engine: Engine, registry: DockerRegistry) -> None:
    good = Credential(USER, PASSWORD)
    for name in (registry.host, f"http://{registry.host}", f"http://{registry.host}/v2/"):
        assert engine.login(name, good).status == "Login Succeeded"
    for bad in (Credential(USER, "wrong"), Credential("", ""), Credential("nobody", PASSWORD)):
        with pytest.raises(Forbidden) as caught:
            engine.login(registry.host, bad)
        assert PASSWORD not in str(caught.value)
    with pytest.raises(ImagewrightError, match="connection refused"):
        engine.login("127.0.0.1:1", good)


def test_search(engine: Engine, ours: Daemon) -> None:
    results = [
        {"name": "team/app", "description": "An app", "star_count": 7, "is_official": False, "is_automated": True},
        {"name": "app", "description": "The app", "star_count": 70, "is_official": True, "is_automated": False},
    ]

    def answer(request: Request) -> Response:
        if request.path == "/v1/search":
            return Response(body=json.dumps({"results": results, "num_results": 2}).encode())
        return Response(200 if request.path == "/v2/" else 404)

    with loopback_server(answer) as server:
        term = f"{server.host}/app"
        assert [found.name for found in engine.search(term)] == ["team/app", "app"]
        assert server.requests[-1].query == {"q": ["app"], "n": ["25"]}
        assert [found.name for found in engine.search(term, filters={"stars": ["10"]})] == ["app"]
        assert [found.name for found in engine.search(term, filters={"is-official": ["false"]})] == ["team/app"]
        assert len(engine.search(term, limit=1)) == 1
        known = for_registry(server.host, Credential(USER, PASSWORD))
        assert engine.search(term, keychain=known)
        with pytest.raises(InvalidInput, match="invalid filter 'color'"):
            engine.search(term, filters={"color": ["red"]})
        with pytest.raises(InvalidInput, match="limit"):
            engine.search(term, limit=101)
        for cli in docker_clis():
            shown = cli.ok(ours.host, "search", "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", term)
            assert sorted(shown.splitlines()) == ["app 70 [OK]", "team/app 7 "]
            shown = cli.ok(ours.host, "search", "--filter", "stars=10", "--format", "{{.Name}}", term)
            assert shown.splitlines() == ["app"]


def test_pull_asks_for_the_base_anew(
    engine: Engine, registry: DockerRegistry, keychain: Keychain, tmp_path: Path
) -> None:
    base = Reference.parse(f"{registry.host}/verbs/base:1")
    old = build(engine, "FROM scratch\nLABEL version=old\n", base)
    engine.push(base, keychain=keychain)
    with Engine(str(tmp_path / "root"), registry=SETTINGS) as other:
        new = build(other, "FROM scratch\nLABEL version=new\n", base)
        other.push(base, keychain=keychain)

    dockerfile = f"FROM {base} AS first\nLABEL x=1\nFROM first\nLABEL y=2\n"

    def base_of(**changed: Any) -> str:
        image = build(engine, dockerfile, keychain=keychain, **changed)
        return (engine.inspect(str(image)).config.run.labels or {})["version"]

    assert base_of() == "old"
    assert base_of(pull=True) == "new"
    assert engine.inspect(base.familiar).id == new
    assert engine.look(str(old)).tags == ()
    # From here on the new one is here.
    assert base_of() == "new"
    # What the registry does not have any more cannot be had, though it is here; and nobody is not let in.
    gone = base.with_tag("gone")
    engine.tag(str(new), gone)
    with pytest.raises(NotFound):
        build(engine, f"FROM {gone}\n", pull=True, keychain=keychain)
    assert build(engine, f"FROM {gone}\n", keychain=keychain) == new
    with pytest.raises(ImagewrightError, match="no basic auth credentials"):
        build(engine, f"FROM {base}\n", pull=True)


def test_happenings(engine: Engine, registry: DockerRegistry, keychain: Keychain) -> None:
    name = Reference.parse(f"{registry.host}/verbs/told:1")
    image = build(engine, "FROM scratch\nLABEL told=yes\n", name)
    engine.tag(str(image), name.with_tag("2"))
    engine.push(name, all_tags=True, keychain=keychain)
    engine.remove(str(image), force=True)
    engine.pull(name, keychain=keychain)
    with pytest.raises(ImagewrightError):
        engine.pull(name.with_tag("none"), keychain=keychain)
    with pytest.raises(ImagewrightError):
        engine.push(name)
    last = engine.watch(since_ns=0, until_ns=time.time_ns(), cancellation=Cancellation())
    told = [
        (one.action, one.id, one.attributes["name"], one.attributes.get("told"))
        for one in last
        if one.action in {"push", "pull", "tag"} and "verbs/told" in one.attributes["name"]
    ]
    bare = name.familiar_name
    assert told == [
        ("tag", str(image), f"{bare}:1", "yes"),
        ("tag", str(image), f"{bare}:2", "yes"),
        ("push", f"{bare}:1", bare, "yes"),
        ("push", f"{bare}:2", bare, "yes"),
        ("pull", f"{bare}:1", bare, "yes"),
    ]


@pytest.mark.compat("dockerd", "docker", "nsenter")
def test_happenings_are_those_of_the_engine(registry: DockerRegistry, ours: Daemon, tmp_path: Path) -> None:
    """The same commands to both give the same events, but for the ids of images made at different times."""
    cli = docker_clis()[0]
    config = {"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}

    def docker(*arguments: str, data: bytes | None = None) -> bytes:
        result = cli.run(ours.host, *arguments, data=data, environment=config)
        assert result.returncode == 0, result.stderr
        return result.stdout

    with dockerd(str(tmp_path)) as other, twin(registry, other):
        theirs, mine = (_tell(registry.host, run) for run in (other.docker, docker))
    assert mine == theirs
    assert [event[0] for event in mine] == ["tag", "import", "tag", "push", "push", "pull", "tag"]


def _tell(host: str, docker: Callable[..., bytes]) -> list[tuple[str, str, dict[str, str]]]:
    """Import, push, remove, pull and tag; return what events there were of it, image ids as `ID`."""
    name = f"{host}/verbs/events"
    docker("login", "-u", USER, "-p", PASSWORD, host)
    image = docker("import", "--change", "LABEL told=yes", "-", f"{name}:1", data=archive({"a": "a"})).decode().strip()
    docker("tag", f"{name}:1", f"{name}:2")
    docker("push", f"{name}:1")
    docker("push", f"{name}:2")
    docker("rmi", f"{name}:1", f"{name}:2")
    docker("pull", f"{name}:1")
    docker("tag", f"{name}:1", "told:3")
    span = ("--since", "1", "--until", f"{time.time():.9f}")
    lines = docker("events", *span, "--format", "{{json .}}").decode().splitlines()
    events = [json.loads(line.replace(image, "ID")) for line in lines]
    return [
        (event["Action"], event["Actor"]["ID"], event["Actor"]["Attributes"])
        for event in events
        if event["Type"] == "image" and event["Action"] in {"import", "tag", "push", "pull"}
    ]
