"""Images go through Debian's docker-registry from this engine to other programs and back, and keep their digests."""

import io
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, Settings, for_registry
from support.builder import context
from support.dockerd import dockerd
from support.podman import podman_storage
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.twin import twin

pytestmark = pytest.mark.compat("docker-registry", "skopeo", "podman")

DOCKERFILE = "FROM scratch\nCOPY a /a\nCOPY b /b\nLABEL made=here\n"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("registry")), accounts=True) as running:
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root"), registry=Settings(certificates="/nonexistent", environment={})) as engine:
        yield engine


def keychain(registry: DockerRegistry) -> Keychain:
    return for_registry(registry.host, Credential(USER, PASSWORD))


def run(*arguments: str) -> str:
    result = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{arguments}: {result.stderr}"
    return result.stdout


@pytest.fixture(name="storage")
def make_storage(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    with podman_storage(tmp_path) as storage:
        yield storage


def podman(storage: Sequence[str], *arguments: str) -> str:
    return run("podman", *storage, *arguments)


def pushed(engine: Engine, registry: DockerRegistry, repository: str) -> Reference:
    """Build and push an image; return its name by its digest."""
    name = Reference.parse(f"{registry.host}/{repository}:1")
    data = io.BytesIO(context(DOCKERFILE, {"a": "one", "b": "two" * 1000}))
    image = engine.build(data, BuildRequest(tags=(name,)))
    engine.push(name, keychain=keychain(registry))
    (digest,) = engine.inspect(str(image)).digests
    return digest


def test_skopeo(engine: Engine, registry: DockerRegistry, tmp_path: Path) -> None:
    digest = pushed(engine, registry, "team/skopeo")
    host, creds = registry.host, f"{USER}:{PASSWORD}"
    shown = json.loads(
        run("skopeo", "inspect", "--tls-verify=false", "--creds", creds, f"docker://{host}/team/skopeo:1")
    )
    assert shown["Digest"] == str(digest.digest)
    run("skopeo", "copy", "--src-tls-verify=false", "--src-creds", creds, f"docker://{digest}", f"dir:{tmp_path}/dir")
    target = f"docker://{host}/team/back:1"
    run("skopeo", "copy", "--dest-tls-verify=false", "--dest-creds", creds, f"dir:{tmp_path}/dir", target)
    image = engine.pull(Reference.parse(f"{host}/team/back:1"), keychain=keychain(registry))
    assert {name.digest for name in engine.inspect(str(image)).digests} == {digest.digest}


def test_podman(engine: Engine, registry: DockerRegistry, storage: Sequence[str], tmp_path: Path) -> None:
    digest = pushed(engine, registry, "team/podman")
    host, creds = registry.host, f"{USER}:{PASSWORD}"
    identity = podman(storage, "pull", "-q", "--tls-verify=false", "--creds", creds, str(digest)).strip()
    assert identity == engine.inspect(digest.familiar).id.encoded
    target = f"{host}/team/podman-back:1"
    printed = tmp_path / "digest"
    options = ("--tls-verify=false", "--creds", creds, "--digestfile", str(printed))
    podman(storage, "push", "-q", *options, identity, target)
    image = engine.pull(Reference.parse(target), keychain=keychain(registry))
    assert printed.read_text() in {str(name.digest) for name in engine.inspect(str(image)).digests}


def test_zstd(engine: Engine, registry: DockerRegistry, tmp_path: Path, storage: Sequence[str]) -> None:
    name = Reference.parse(f"{registry.host}/team/zstd:1")
    data = io.BytesIO(context(DOCKERFILE, {"a": "one", "b": "two" * 1_000_000}))
    image = engine.build(data, BuildRequest(tags=(name,)))
    engine.push(name, compression="zstd", keychain=keychain(registry))
    creds = f"{USER}:{PASSWORD}"
    source = ("--src-tls-verify=false", "--src-creds", creds, f"docker://{name}")
    run("skopeo", "copy", *source, f"dir:{tmp_path}/dir")
    manifest = json.loads((tmp_path / "dir" / "manifest.json").read_text())
    assert {layer["mediaType"] for layer in manifest["layers"]} == {"application/vnd.oci.image.layer.v1.tar+zstd"}
    assert podman(storage, "pull", "-q", "--tls-verify=false", "--creds", creds, str(name)).strip() == image.encoded
    run("skopeo", "copy", *source, f"oci:{tmp_path}/layout:1")
    (diff_id, *_) = engine.inspect(str(image)).config.diff_ids
    engine.remove(str(image), force=True)
    assert engine.pull(name, keychain=keychain(registry)) == image
    assert engine.inspect(str(image)).config.diff_ids[0] == diff_id


def test_a_build_pulls_its_base(engine: Engine, registry: DockerRegistry) -> None:
    digest = pushed(engine, registry, "team/base")
    engine.remove(str(engine.inspect(digest.familiar).id), force=True)
    request = BuildRequest(keychain=keychain(registry))
    image = engine.build(io.BytesIO(context(f"FROM {digest}\nLABEL more=1\n")), request)
    assert (engine.inspect(str(image)).config.run.labels or {})["made"] == "here"


@pytest.mark.compat("dockerd", "docker")
def test_dockerd(engine: Engine, registry: DockerRegistry, tmp_path: Path) -> None:
    digest = pushed(engine, registry, "team/dockerd")
    with dockerd(str(tmp_path)) as other, twin(registry, other) as host:
        other.docker("login", "-u", USER, "-p", PASSWORD, host)
        other.docker("pull", "-q", str(digest))
        identity = other.docker("image", "inspect", "-f", "{{.Id}}", str(digest)).decode().strip()
        assert identity == str(engine.inspect(digest.familiar).id)
        target = f"{registry.host}/team/dockerd-back:1"
        other.docker("tag", identity, target)
        told = other.docker("push", target).decode()
    image = engine.pull(Reference.parse(target), keychain=keychain(registry))
    digests = {name.digest for name in engine.inspect(str(image)).digests if name.repository == "team/dockerd-back"}
    assert [f"digest: {found}" in told for found in digests] == [True]
