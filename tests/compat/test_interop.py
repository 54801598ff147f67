"""Archives between imagewright and the programs of the field: each takes what the other writes, and digests survive."""

import bz2
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import os
import pathlib
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from backports import zstd

from imagewright.engine import BuildRequest, Engine
from imagewright.oci import Digest
from support.bases import busybox_base
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.dockerd import Dockerd, dockerd
from support.engines import build, reference, saved
from support.unixhttp import request

pytestmark = pytest.mark.compat("skopeo", "umoci", "podman", "buildah")

CLIS = docker_clis() or (DockerCli("docker", ()),)
NAMES = ("app:1", "app:2", "reg.example:5000/team/app:3")
FILES = {"f": "data\n", "sub/g": "x" * 20_000}
DOCKERFILE = 'FROM base:1\nCOPY f /f\nCOPY sub /sub\nENV A=b\nLABEL c=d\nUSER 1000\nCMD ["cat", "/f"]\n'


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("base:1"))
        image = build(engine, DOCKERFILE, FILES)
        for name in NAMES:
            engine.tag(str(image), reference(name))
        yield engine


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dockerd]:
    with dockerd(str(tmp_path_factory.mktemp("docker"))) as running:
        yield running


@pytest.fixture
def fresh(tmp_path: pathlib.Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "fresh")) as engine:
        yield engine


class Programs:
    """The programs, with whatever they keep below a directory of the test's."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        (directory / "policy.json").write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
        (directory / "registries.conf").write_text("unqualified-search-registries = []\n")
        (directory / "auth.json").write_text("{}")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "CONTAINERS_REGISTRIES_CONF": str(directory / "registries.conf"),
            "REGISTRY_AUTH_FILE": str(directory / "auth.json"),
        }

    def run(self, *command: str) -> str:
        result = subprocess.run(
            command,
            capture_output=True,
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{' '.join(command)}: {result.stderr}"
        return result.stdout

    def skopeo(self, *arguments: str) -> str:
        return self.run("skopeo", "--policy", "policy.json", *arguments)

    def podman(self, *arguments: str) -> str:
        where = ("--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs")
        return self.run("podman", *self._absolute(where), "--cgroup-manager", "cgroupfs", *arguments)

    def buildah(self, *arguments: str) -> str:
        return self.run(
            "buildah",
            *self._absolute(("--root", "buildah", "--runroot", "buildah-run")),
            "--storage-driver",
            "vfs",
            *arguments,
        )

    def _absolute(self, words: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(word if word.startswith("-") or word == "vfs" else str(self.directory / word) for word in words)

    def write(self, name: str, data: bytes) -> str:
        (self.directory / name).write_bytes(data)
        return name

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def packed(self, name: str) -> bytes:
        """Return the directory `name`, an image layout, as a tar."""
        return subprocess.run(
            ["tar", "-C", str(self.directory / name), "-c", "."], check=True, capture_output=True
        ).stdout


@pytest.fixture
def programs() -> Iterator[Programs]:
    # podman insists on short paths, and a test's directory need not be.
    with tempfile.TemporaryDirectory(prefix="interop-") as directory:
        yield Programs(pathlib.Path(directory))


@contextlib.contextmanager
def unpacked(programs: Programs, data: bytes, name: str = "layout") -> Iterator[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        tar.extractall(programs.directory / name, filter="data")
    yield name


def saved_all(engine: Engine, names: list[str]) -> bytes:
    out = io.BytesIO()
    engine.save(names, out)
    return out.getvalue()


def config(engine: Engine, name: str) -> bytes:
    return engine.inspect(name).config_bytes


def load(engine: Engine, data: bytes) -> list[str]:
    """Load `data` and return what it has, with ids for what has no name; every layer is then read and verified."""
    loaded = engine.load(io.BytesIO(data))
    for name in loaded:
        saved(engine, str(name))
    return [str(name) if isinstance(name, Digest) else name.familiar for name in loaded]


def diff_ids(engine: Engine, name: str) -> list[str]:
    return [str(diff_id) for diff_id in engine.inspect(name).config.diff_ids]


@pytest.mark.parametrize("cli", CLIS, ids=str)
def test_docker_loads_what_we_save(engine: Engine, docker: Dockerd, cli: DockerCli) -> None:
    image = engine.inspect("app:1").id
    printed = cli.ok(docker.host, "load", data=saved_all(engine, ["app", "reg.example:5000/team/app:3", "base:1"]))
    assert {f"Loaded image: {name}" for name in (*NAMES, "base:1")} <= set(printed.splitlines())
    for name in NAMES:
        (document,) = json.loads(docker.docker("inspect", name))
        assert document["Id"] == str(image)
        assert document["RootFS"]["Layers"] == diff_ids(engine, name)
    assert cli.ok(docker.host, "run", "--rm", "--network=none", "app:1") == "data\n"
    by_id = cli.ok(docker.host, "load", data=saved(engine, str(image)))
    assert by_id == f"Loaded image ID: {image}\n"


def test_docker_loads_a_hundred_layers(fresh: Engine, docker: Dockerd) -> None:
    count = 100
    dockerfile = "FROM scratch\n" + "".join(f"COPY f{number} /\n" for number in range(count))
    build(
        fresh,
        dockerfile,
        {f"f{number}": f"{number}\n" for number in range(count)},
        request=BuildRequest(tags=(reference("many:1"),)),
    )
    docker.docker("load", data=saved(fresh, "many:1"))
    (document,) = json.loads(docker.docker("inspect", "many:1"))
    assert document["Id"] == str(fresh.inspect("many:1").id)
    assert len(document["RootFS"]["Layers"]) == count
    data = docker.docker("save", "many:1")
    fresh.remove("many:1")
    assert load(fresh, data) == ["many:1"]
    assert str(fresh.inspect("many:1").id) == document["Id"]


def test_skopeo_reads_what_we_save(engine: Engine, programs: Programs) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    for source in ("docker-archive:one.tar", "oci-archive:one.tar", "oci-archive:one.tar:1"):
        assert programs.skopeo("inspect", "--config", "--raw", source).encode() == config(engine, "app:1")
        programs.skopeo("copy", source, f"dir:copy-{source.count(':')}")
    manifest = json.loads(programs.skopeo("inspect", "--raw", "oci-archive:one.tar"))
    assert manifest["config"]["digest"] == str(engine.inspect("app:1").id)
    assert [layer["digest"] for layer in manifest["layers"]] == diff_ids(engine, "app:1")
    programs.write("all.tar", saved_all(engine, ["app", "base:1"]))
    for name in ("app:1", "app:2", "base:1"):
        raw = programs.skopeo("inspect", "--config", "--raw", f"docker-archive:all.tar:{name}")
        assert raw.encode() == config(engine, name)


def test_umoci_unpacks_what_we_save(engine: Engine, programs: Programs) -> None:
    with unpacked(programs, saved(engine, "app:1")) as layout:
        assert programs.run("umoci", "ls", "--layout", layout) == "1\n"
        programs.run("umoci", "unpack", "--image", f"{layout}:1", "bundle")
    rootfs = programs.directory / "bundle" / "rootfs"
    assert (rootfs / "f").read_text() == FILES["f"]
    assert (rootfs / "sub" / "g").read_text() == FILES["sub/g"]
    assert (rootfs / "home" / "user").stat().st_uid == 1000


def test_podman_loads_what_we_save(engine: Engine, programs: Programs) -> None:
    programs.write("all.tar", saved_all(engine, ["app", "reg.example:5000/team/app:3", "base:1"]))
    programs.podman("load", "-i", "all.tar")
    for name in (*NAMES, "base:1"):
        (document,) = json.loads(programs.podman("inspect", name))
        assert f"sha256:{document['Id']}" == str(engine.inspect(name).id)
        assert document["RootFS"]["Layers"] == diff_ids(engine, name)


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_buildah_pulls_what_we_save(engine: Engine, programs: Programs, transport: str) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    image = programs.buildah("pull", "-q", f"{transport}:one.tar").strip()
    assert f"sha256:{image}" == str(engine.inspect("app:1").id)


@pytest.fixture(scope="module")
def theirs(engine: Engine, docker: Dockerd) -> Digest:
    """An image that dockerd has built."""
    docker.docker("load", data=saved(engine, "base:1"))
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, text in {**FILES, "Dockerfile": f"{DOCKERFILE}RUN echo theirs > /tmp/who\nVOLUME /v\n"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    names = [word for name in NAMES for word in ("-t", name.replace("app", "theirs"))]
    return Digest.parse(docker.docker("build", "-q", *names, "-", data=context.getvalue()).decode().strip())


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress])
def test_we_load_what_docker_saves(
    fresh: Engine, docker: Dockerd, theirs: Digest, compress: Callable[[bytes], bytes]
) -> None:
    data = docker.docker("save", "theirs", "reg.example:5000/team/theirs:3", "base:1")
    names = {"theirs:1", "theirs:2", "reg.example:5000/team/theirs:3", "base:1"}
    assert set(load(fresh, compress(data))) == names
    (document,) = json.loads(docker.docker("inspect", "theirs:1"))
    assert str(fresh.inspect("theirs:1").id) == str(theirs) == document["Id"]
    assert diff_ids(fresh, "theirs:1") == document["RootFS"]["Layers"]


def test_docker_takes_its_own_image_back(fresh: Engine, docker: Dockerd, theirs: Digest) -> None:
    fresh.load(io.BytesIO(docker.docker("save", str(theirs))))
    data = saved(fresh, str(theirs))
    docker.docker("rmi", "-f", str(theirs))
    assert docker.docker("load", data=data).decode() == f"Loaded image ID: {theirs}\n"
    docker.docker("tag", str(theirs), "theirs:1")
    for name in NAMES:
        docker.docker("tag", str(theirs), name.replace("app", "theirs"))


@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "docker-dir"])
def test_we_load_what_podman_saves(engine: Engine, fresh: Engine, programs: Programs, form: str) -> None:
    programs.write("all.tar", saved_all(engine, ["app:1", "base:1"]))
    programs.podman("load", "-i", "all.tar")
    if form == "docker-dir":
        programs.podman("save", "-m", "-o", "out.tar", "app:1", "base:1")
        expected = ["localhost/app:1", "localhost/base:1"]
    else:
        programs.podman("save", "--format", form, "-o", "out.tar", "app:1")
        expected = ["localhost/app:1"]
    assert load(fresh, programs.read("out.tar")) == expected
    assert diff_ids(fresh, "localhost/app:1") == diff_ids(engine, "app:1")
    if form != "oci-archive":  # which podman writes another configuration for
        assert fresh.inspect("localhost/app:1").id == engine.inspect("app:1").id


@pytest.mark.parametrize("algorithm", ["gzip", "zstd"])
def test_we_load_what_skopeo_copies(engine: Engine, fresh: Engine, programs: Programs, algorithm: str) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    compressed = ("--dest-compress", "--dest-compress-format", algorithm)
    programs.skopeo("copy", *compressed, "oci-archive:one.tar", "oci:layout:app:skopeo")
    manifest = json.loads(programs.skopeo("inspect", "--raw", "oci:layout:app:skopeo"))
    assert {layer["mediaType"] for layer in manifest["layers"]} == {
        f"application/vnd.oci.image.layer.v1.tar+{algorithm}"
    }
    assert load(fresh, programs.packed("layout")) == ["app:skopeo"]
    assert fresh.inspect("app:skopeo").id == engine.inspect("app:1").id
    programs.skopeo("copy", "docker-archive:one.tar", "docker-archive:docker.tar:other/app:2")
    programs.skopeo("copy", "oci-archive:one.tar", "oci-archive:oci.tar:third/app:3")
    for name, expected in (("docker.tar", "other/app:2"), ("oci.tar", "third/app:3")):
        assert load(fresh, programs.read(name)) == [expected]
        assert fresh.inspect(expected).id == engine.inspect("app:1").id


def test_we_load_what_umoci_makes(engine: Engine, fresh: Engine, programs: Programs) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    programs.skopeo("copy", "oci-archive:one.tar", "oci:layout:one")
    programs.run("umoci", "config", "--image", "layout:one", "--tag", "two", "--config.env", "Z=1")
    programs.run("umoci", "unpack", "--image", "layout:two", "bundle")
    (programs.directory / "bundle" / "rootfs" / "new").write_text("new\n")
    programs.run("umoci", "repack", "--image", "layout:three", "bundle")
    loaded = load(fresh, programs.packed("layout"))
    assert len(loaded) == 3
    assert loaded[0] == str(engine.inspect("app:1").id)
    assert "Z=1" in (fresh.inspect(loaded[1]).config.run.env or ())
    assert len(diff_ids(fresh, loaded[2])) == len(diff_ids(engine, "app:1")) + 1
    for name, image in zip(("one", "two", "three"), loaded, strict=True):
        manifest = json.loads(programs.skopeo("inspect", "--raw", f"oci:layout:{name}"))
        assert manifest["config"]["digest"] == image


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_we_load_what_buildah_pushes(engine: Engine, fresh: Engine, programs: Programs, transport: str) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    image = programs.buildah("pull", "-q", "oci-archive:one.tar").strip()
    programs.buildah("push", "-q", image, f"{transport}:out.tar:built/app:1")
    assert load(fresh, programs.read("out.tar")) == ["built/app:1"]
    assert diff_ids(fresh, "built/app:1") == diff_ids(engine, "app:1")


def test_we_take_our_platform_from_an_index_that_buildah_makes(
    engine: Engine, fresh: Engine, programs: Programs
) -> None:
    programs.write("one.tar", saved(engine, "app:1"))
    programs.skopeo("copy", "oci-archive:one.tar", "oci:ours")
    programs.skopeo("copy", "oci-archive:one.tar", "oci:foreign:x")
    programs.run("umoci", "config", "--image", "foreign:x", "--architecture", "s390x")
    programs.buildah("manifest", "create", "many")
    for layout, architecture in (("oci:foreign:x", "s390x"), ("oci:ours", "amd64")):
        programs.buildah("manifest", "add", "--os", "linux", "--arch", architecture, "many", layout)
    programs.buildah("manifest", "push", "-q", "--all", "many", "oci:index:reg.example/many:1")
    assert load(fresh, programs.packed("index")) == ["reg.example/many:1"]
    assert fresh.inspect("reg.example/many:1").id == engine.inspect("app:1").id


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        yield running


def message(body: bytes) -> dict[str, Any]:
    document = json.loads(body.splitlines()[-1])
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("data", [b"x" * 2000, b"x" * 100, gzip.compress(b"x" * 2000)])
def test_garbage_is_answered_in_the_same_words(served: Daemon, docker: Dockerd, data: bytes) -> None:
    for target in ("/v1.41/images/load?quiet=1", "/v1.41/images/create?fromSrc=-"):
        ours, theirs_ = (message(request(where.socket, "POST", target, data)[1]) for where in (served, docker))
        assert ours == theirs_


def test_our_bytes_are_their_digests(engine: Engine) -> None:
    with tarfile.open(fileobj=io.BytesIO(saved_all(engine, ["app", "base:1"]))) as tar:
        blobs = {member.name: tar.extractfile(member) for member in tar if member.isfile() and "blobs" in member.name}
        for name, file in blobs.items():
            assert file is not None
            assert hashlib.sha256(file.read()).hexdigest() == name.rpartition("/")[2]
