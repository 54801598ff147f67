"""Steps travel by registry: built and pushed by one engine, taken over by another with an empty store."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import NotFound
from imagewright.events import Status
from imagewright.oci import Digest
from imagewright.registry import Credential, Keychain, Settings, for_registry
from support.bases import busybox_base
from support.builder import Content, Member, archive
from support.clients import DockerCli, docker_clis
from support.daemon import daemon
from support.engines import Log, build, leftovers, reference, saved
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry

pytestmark = [pytest.mark.privileged, pytest.mark.compat("docker-registry")]

# What would differ if it were run again.
DOCKERFILE = (
    "FROM {base}\nENV A=1\nRUN cat /proc/sys/kernel/random/uuid > /one\nCOPY f /srv/\nWORKDIR /w\n"
    'RUN cat /proc/sys/kernel/random/uuid > two\nCMD ["x"]\n'
)
STEPS = 6
STAGES = (
    "FROM {base} AS compile\nRUN cat /proc/sys/kernel/random/uuid > /out\n"
    "FROM {base}\nRUN cat /proc/sys/kernel/random/uuid > /two\nCOPY --from=compile /out /out\n"
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("registry")), accounts=True) as running:
        yield running


@pytest.fixture(scope="module")
def keychain(registry: DockerRegistry) -> Keychain:
    return for_registry(registry.host, Credential(USER, PASSWORD))


@pytest.fixture(scope="module")
def base(registry: DockerRegistry) -> str:
    return f"{registry.host}/base:1"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, base: str, keychain: Keychain) -> Iterator[Engine]:
    with new_engine(tmp_path_factory.mktemp("first")) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference(base))
        engine.push(reference(base), keychain=keychain)
        yield engine


@pytest.fixture(scope="module")
def app(first: Engine, registry: DockerRegistry, base: str, keychain: Keychain) -> str:
    name = f"{registry.host}/app:1"
    build(first, DOCKERFILE.format(base=base), {"f": "1"}, request=BuildRequest(tags=(reference(name),)))
    first.push(reference(name), keychain=keychain)
    return name


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Engine]:
    with new_engine(tmp_path) as engine:
        yield engine


def new_engine(directory: Path) -> Engine:
    return Engine(str(directory / "root"), registry=Settings(certificates="/nonexistent", environment={}))


def test_every_step_is_taken_over(first: Engine, second: Engine, app: str, base: str, keychain: Keychain) -> None:
    log = Log()
    request = BuildRequest(cache_from=(app,), keychain=keychain)
    image = build(second, DOCKERFILE.format(base=base), {"f": Member(b"1", mtime=5)}, request=request, log=log)
    assert (log.hits, log.output) == (STEPS, "")
    assert image == first.inspect(app).id
    assert leftovers(second.info().data_root) == []


def test_a_changed_step_and_what_comes_after_it_is_done_anew(
    first: Engine, second: Engine, app: str, base: str, keychain: Keychain
) -> None:
    log = Log()
    request = BuildRequest(cache_from=(app,), keychain=keychain)
    image = build(second, DOCKERFILE.format(base=base), {"f": "2"}, request=request, log=log)
    assert log.hits == 2
    before, after = first.inspect(app).config.diff_ids, second.inspect(str(image)).config.diff_ids
    assert before[:2] == after[:2]
    assert before[-1] != after[-1]


def test_nothing_is_kept_as_if_it_had_been_built_here(second: Engine, app: str, base: str, keychain: Keychain) -> None:
    request = BuildRequest(cache_from=(app,), keychain=keychain)
    build(second, DOCKERFILE.format(base=base), {"f": "1"}, request=request)
    log = Log()
    build(second, DOCKERFILE.format(base=base), {"f": "1"}, request=BuildRequest(keychain=keychain), log=log)
    assert log.hits == 0


def test_no_cache_asks_for_no_image(second: Engine, app: str, base: str, keychain: Keychain) -> None:
    log = Log()
    request = BuildRequest(cache_from=(app,), keychain=keychain, no_cache=True)
    build(second, f"FROM {base}\nENV A=1\n", request=request, log=log)
    assert log.hits == 0
    with pytest.raises(NotFound):
        second.look(app)


def test_images_that_cannot_be_had_are_left_out(
    first: Engine, app: str, base: str, registry: DockerRegistry, keychain: Keychain
) -> None:
    log = Log()
    names = (f"{registry.host}/nope:1", "Busy Box", "", app)
    request = BuildRequest(cache_from=names, keychain=keychain)
    image = build(first, DOCKERFILE.format(base=base), {"f": "1"}, request=request, log=log)
    assert (log.hits, image) == (STEPS, first.inspect(app).id)
    told = [event.message for event in log.events if isinstance(event, Status)]
    assert len(told) == 2
    assert told[0].startswith(f"No steps are taken from {registry.host}/nope:1: ")
    assert told[1] == "No steps are taken from Busy Box: invalid reference format: repository name must be lowercase"


def test_the_local_cache_counts_too(first: Engine, app: str, base: str) -> None:
    dockerfile = f"FROM {base}\nRUN cat /proc/sys/kernel/random/uuid > /elsewhere\n"
    image = build(first, dockerfile)
    assert build(first, dockerfile, request=BuildRequest(cache_from=(app,))) == image


def test_stages_each_from_an_image_of_their_own(
    first: Engine, second: Engine, registry: DockerRegistry, base: str, keychain: Keychain
) -> None:
    names = {"compile": f"{registry.host}/stages:compile", "": f"{registry.host}/stages:all"}
    for target, name in names.items():
        request = BuildRequest(tags=(reference(name),), target=target)
        built = build(first, STAGES.format(base=base), request=request)
        first.push(reference(name), keychain=keychain)
    log = Log()
    request = BuildRequest(cache_from=tuple(names.values()), keychain=keychain)
    assert build(second, STAGES.format(base=base), request=request, log=log) == built
    assert log.hits == 3


def poisoned(first: Engine, app: str) -> bytes:
    """Return an archive of an image that says it is `app`, step by step, and has other bytes in its first RUN."""
    evil = archive({"one": "evil"})
    with tarfile.open(fileobj=io.BytesIO(saved(first, app))) as tar:
        manifest = json.loads((tar.extractfile("manifest.json") or io.BytesIO()).read())[0]
        config = json.loads((tar.extractfile(manifest["Config"]) or io.BytesIO()).read())
        layers = [(tar.extractfile(name) or io.BytesIO()).read() for name in manifest["Layers"]]
    return repacked(config, [layers[0], evil, *layers[2:]])


def repacked(config: dict[str, object], layers: list[bytes]) -> bytes:
    config["rootfs"] = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in layers]}
    names = [f"{number}.tar" for number in range(len(layers))]
    manifest = [{"Config": "config.json", "RepoTags": ["poison:1"], "Layers": names}]
    members: dict[str, Content] = dict(zip(names, layers, strict=True))
    return archive({**members, "config.json": json.dumps(config), "manifest.json": json.dumps(manifest)})


def test_a_claimed_history_counts_only_for_whoever_names_the_image(
    first: Engine, second: Engine, app: str, base: str, keychain: Keychain
) -> None:
    second.load(io.BytesIO(poisoned(first, app)))
    # The same files from somewhere else are another base, whatever the history says.
    second.import_(io.BytesIO(busybox_base()), reference=reference("base:other"))

    def first_run(name: str, *cache_from: str) -> Digest:
        dockerfile = f"FROM {name}\nENV A=1\nRUN cat /proc/sys/kernel/random/uuid > /one\n"
        image = build(second, dockerfile, request=BuildRequest(cache_from=cache_from, keychain=keychain))
        return second.inspect(str(image)).config.diff_ids[1]

    evil = second.look("poison:1").config.diff_ids[1]
    assert first_run("base:other", "poison:1") != evil
    assert first_run(base) != evil
    # Who names it believes it, on the base that it says it is made from; and nobody else after that.
    assert first_run(base, "poison:1") == evil
    assert first_run(base) != evil


@pytest.mark.compat("docker")
def test_docker(tmp_path: Path, first: Engine, app: str, base: str) -> None:
    context = tmp_path / "context"
    context.mkdir()
    (context / "Dockerfile").write_text(DOCKERFILE.format(base=base))
    (context / "f").write_text("1")
    registry = base.partition("/")[0]
    with daemon(str(tmp_path)) as running:
        for program in docker_clis():

            def docker(*arguments: str, data: bytes | None = None, program: DockerCli = program) -> str:
                result = program.run(running.host, *arguments, data=data, environment={"HOME": str(tmp_path)})
                assert result.returncode == 0, result.stderr
                return result.stdout.decode()

            docker("login", "-u", USER, "--password-stdin", registry, data=PASSWORD.encode())
            told = docker("build", "--cache-from", app, "--cache-from", "Bad Name", str(context))
            assert told.count("Using cache") == STEPS
            assert f"Successfully built {first.inspect(app).id.short}" in told
            docker("rmi", "--force", app, base)
