"""Images through registries with accounts, TLS of an own authority and client certificates, to other programs and back.

The engine that pulls and pushes here verifies the registry by its directory of certificates, and so do the others:
dockerd, which verifies no loopback address, reaches the registry at another one.
"""

import io
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import Forbidden, ImagewrightError, SystemFailure
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, Settings, for_registry
from support.builder import archive, context
from support.certificates import Authority, Pair
from support.dockerd import Dockerd, dockerd
from support.engines import saved
from support.podman import podman_storage
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.twin import certificates_inside, twin

pytestmark = pytest.mark.compat("docker-registry", "skopeo", "podman", "openssl")

DOCKERFILE = "FROM scratch\nCOPY a /a\nCOPY b /b\nLABEL made=here\n"
CREDENTIALS = f"{USER}:{PASSWORD}"
OUTSIDE = "10.99.0.1"
"""Where dockerd reaches the registry: no loopback address, so that it verifies what it is shown."""


@dataclass(frozen=True)
class Place:
    """A registry, and what one needs to be let in: `files` by their names in a directory of certificates."""

    registry: DockerRegistry
    files: dict[str, str]
    certificates: str
    """Laid out as certs.d."""

    @property
    def host(self) -> str:
        return self.registry.host

    @property
    def keychain(self) -> Keychain:
        return for_registry(self.host, Credential(USER, PASSWORD))

    @property
    def directory(self) -> str:
        """The certificates for the registry alone, as skopeo and podman take them."""
        return os.path.join(self.certificates, self.host)

    def name(self, repository: str) -> Reference:
        return Reference.parse(f"{self.host}/{repository}:1")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(str(tmp_path_factory.mktemp("authority")))


@pytest.fixture(scope="module", params=["verified", "mutual"])
def place(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A registry that wants a password; with `mutual` it also demands a certificate of its clients."""
    top = tmp_path_factory.mktemp(request.param)
    files = {"ca.crt": authority.certificate}
    if request.param == "mutual":
        pair = authority.issue("client")
        files |= {"client.cert": pair.certificate, "client.key": pair.key}
    server = authority.issue(f"server-{request.param}", addresses=("127.0.0.1", OUTSIDE))
    clients = authority.certificate if request.param == "mutual" else None
    (top / "registry").mkdir()
    with docker_registry(str(top / "registry"), accounts=True, tls=server, clients=clients) as running:
        own = top / "certs.d" / running.host
        own.mkdir(parents=True)
        for name, source in files.items():
            (own / name).write_bytes(Path(source).read_bytes())
        yield Place(running, files, str(top / "certs.d"))


@pytest.fixture
def engine(place: Place, tmp_path: Path) -> Iterator[Engine]:
    settings = Settings(certificates=place.certificates, environment={})
    with Engine(str(tmp_path / "root"), registry=settings) as engine:
        yield engine


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with dockerd(str(tmp_path_factory.mktemp("dockerd"))) as running:
        yield running


def run(*arguments: str, data: bytes | None = None) -> str:
    result = subprocess.run(arguments, capture_output=True, input=data, check=False)
    assert result.returncode == 0, f"{arguments}: {result.stderr.decode(errors='replace')}"
    return result.stdout.decode()


def pushed(engine: Engine, place: Place, repository: str) -> tuple[Digest, Digest]:
    """Build an image here and push it; return its id, and the digest of its manifest."""
    name = place.name(repository)
    data = io.BytesIO(context(DOCKERFILE, {"a": "one", "b": "two" * 1000}))
    image = engine.build(data, BuildRequest(tags=(name,)))
    engine.push(name, keychain=place.keychain)
    return image, digest_of(engine, image, name)


def digest_of(engine: Engine, image: Digest, name: Reference) -> Digest:
    """Return the digest that the image has in the repository of `name`."""
    (found,) = (one.digest for one in engine.inspect(str(image)).digests if one.name == name.name)
    assert found is not None
    return found


def pulled(engine: Engine, place: Place, name: Reference) -> tuple[Digest, Digest]:
    image = engine.pull(name, keychain=place.keychain)
    return image, digest_of(engine, image, name)


def test_skopeo(engine: Engine, place: Place, tmp_path: Path) -> None:
    image, digest = pushed(engine, place, "ours/skopeo")
    source, out = ("--src-cert-dir", place.directory, "--src-creds", CREDENTIALS), tmp_path / "dir"
    run("skopeo", "copy", *source, f"docker://{place.host}/ours/skopeo:1", f"dir:{out}")
    manifest = (out / "manifest.json").read_bytes()
    assert Digest.of(manifest) == digest
    assert json.loads(manifest)["config"]["digest"] == str(image)

    # Back by what skopeo makes of an archive, which it compresses itself.
    (tmp_path / "image.tar").write_bytes(saved(engine, str(image)))
    engine.remove(str(image), force=True)
    target, printed = ("--dest-cert-dir", place.directory, "--dest-creds", CREDENTIALS), tmp_path / "digest"
    name = place.name("theirs/skopeo")
    run(
        "skopeo",
        "copy",
        *target,
        "--digestfile",
        str(printed),
        f"docker-archive:{tmp_path}/image.tar",
        f"docker://{name}",
    )
    assert pulled(engine, place, name) == (image, Digest.parse(printed.read_text()))


def test_podman(engine: Engine, place: Place, tmp_path: Path) -> None:
    with podman_storage(tmp_path) as storage:
        access = ("--cert-dir", place.directory, "--creds", CREDENTIALS)
        image, digest = pushed(engine, place, "ours/podman")
        identity = run("podman", *storage, "pull", "-q", *access, str(place.name("ours/podman"))).strip()
        assert identity == image.encoded
        assert run("podman", *storage, "image", "inspect", "--format", "{{.Digest}}", identity).strip() == str(digest)

        name, printed = place.name("theirs/podman"), tmp_path / "digest"
        (tmp_path / "base.tar").write_bytes(archive({"x": "podman's own"}))
        imported = run("podman", *storage, "import", "-q", str(tmp_path / "base.tar"), str(name)).strip()
        run("podman", *storage, "push", "-q", *access, "--digestfile", str(printed), str(name))
        assert pulled(engine, place, name) == (
            Digest(imported.removeprefix("sha256:")),
            Digest.parse(printed.read_text()),
        )


@pytest.mark.compat("dockerd", "docker", "nsenter", "ip")
def test_dockerd(engine: Engine, place: Place, other: Dockerd) -> None:
    image, digest = pushed(engine, place, "ours/dockerd")
    port = place.host.rpartition(":")[2]
    inside = {f"{OUTSIDE}:{port}/{name}": source for name, source in place.files.items()}
    with twin(place.registry, other, OUTSIDE) as host:
        refused = other.docker("login", "-u", USER, "-p", PASSWORD, host, check=False)
        assert b"Login Succeeded" not in refused, "dockerd does not verify"
        with certificates_inside(other, inside):
            other.docker("login", "-u", USER, "-p", PASSWORD, host)
            other.docker("pull", "-q", f"{host}/ours/dockerd:1")
            shown = other.docker("image", "inspect", "-f", "{{.Id}} {{index .RepoDigests 0}}", f"{host}/ours/dockerd:1")
            assert shown.decode().split() == [str(image), f"{host}/ours/dockerd@{digest}"]
            target = f"{host}/theirs/dockerd:1"
            made = other.docker("import", "-", target, data=archive({"x": "dockerd's own"})).decode().strip()
            told = re.search(r"digest: (sha256:[0-9a-f]{64})", other.docker("push", target).decode())
            assert told is not None
    assert pulled(engine, place, place.name("theirs/dockerd")) == (Digest.parse(made), Digest.parse(told[1]))


def test_a_build_pulls_its_base(engine: Engine, place: Place) -> None:
    image, _ = pushed(engine, place, "ours/base")
    engine.remove(str(image), force=True)
    request = BuildRequest(keychain=place.keychain)
    built = engine.build(io.BytesIO(context(f"FROM {place.name('ours/base')}\nLABEL more=1\n")), request)
    assert engine.inspect(str(built)).parent == image


def test_login_and_its_refusals(engine: Engine, place: Place) -> None:
    assert engine.login(place.host, Credential(USER, PASSWORD)).status == "Login Succeeded"
    with pytest.raises(Forbidden):
        engine.login(place.host, Credential(USER, "wrong"))
    with pytest.raises(ImagewrightError, match="no basic auth credentials"):
        engine.pull(place.name("ours/nobody"))


def test_what_is_missing_is_said(place: Place, authority: Authority, tmp_path: Path) -> None:
    """Neither another authority nor, where it is demanded, no certificate of one's own gets anything out of it."""
    stranger = Authority(str(tmp_path), name="stranger")
    own = tmp_path / "certs.d" / place.host
    own.mkdir(parents=True)
    bad: list[Pair | str] = [stranger.certificate]
    if "client.cert" in place.files:
        bad += [authority.certificate, stranger.issue("client")]
    for number, what in enumerate(bad):
        (own / "ca.crt").write_bytes(Path(authority.certificate if isinstance(what, Pair) else what).read_bytes())
        if isinstance(what, Pair):
            (own / "client.cert").write_bytes(Path(what.certificate).read_bytes())
            (own / "client.key").write_bytes(Path(what.key).read_bytes())
        settings = Settings(certificates=str(tmp_path / "certs.d"), environment={}, tries=1)
        with Engine(str(tmp_path / f"root{number}"), registry=settings) as engine:
            with pytest.raises(SystemFailure) as caught:
                engine.login(place.host, Credential(USER, PASSWORD))
            assert str(tmp_path) not in str(caught.value)
            assert PASSWORD not in str(caught.value)
