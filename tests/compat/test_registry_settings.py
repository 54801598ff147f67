"""Mirrors, insecure registries and proxies, each through the whole engine.

Docker Hub and hosts with names are the tests' own: a proxy knows where they are, and a directory of certificates what
they are known by.
"""

import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import ImagewrightError, NotFound
from imagewright.reference import Reference
from imagewright.registry import Client as RegistryClient
from imagewright.registry import Credential, Settings, for_registry
from support.builder import context
from support.certificates import Authority
from support.clients import docker_clis
from support.daemon import daemon
from support.dockerd import dockerd
from support.fake_registry import FakeRegistry, fake_registry
from support.loopback import Response
from support.proxy import Proxy, proxy
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.unixhttp import request

pytestmark = pytest.mark.compat("docker-registry", "openssl")

HUB = "registry-1.docker.io:443"
SECURE = "secure.example:443"
PLAIN = "plain.example:80"


@dataclass(frozen=True)
class Net:
    """Docker Hub, a registry with an authority of its own, one in the clear, and the proxy through which they are."""

    hub: DockerRegistry
    secure: DockerRegistry
    plain: DockerRegistry
    certificates: str
    proxy: Proxy

    @property
    def environment(self) -> dict[str, str]:
        return {"HTTP_PROXY": self.proxy.url, "HTTPS_PROXY": self.proxy.url}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Net]:
    top = tmp_path_factory.mktemp("net")
    authority = Authority(str(top))
    names = ("registry-1.docker.io", "secure.example")
    for name in names:
        (top / "certs.d" / name).mkdir(parents=True)
        (top / "certs.d" / name / "ca.crt").write_bytes(Path(authority.certificate).read_bytes())
    with contextlib.ExitStack() as stack:

        def registry(name: str, *, tls: bool, accounts: bool = False) -> DockerRegistry:
            directory = tmp_path_factory.mktemp("registry")
            pair = authority.issue(name, hosts=(name,)) if tls else None
            return stack.enter_context(docker_registry(str(directory), tls=pair, accounts=accounts))

        hub = registry(names[0], tls=True)
        secure = registry(names[1], tls=True, accounts=True)
        plain = registry("plain.example", tls=False)
        places = {HUB: hub.host, SECURE: secure.host, PLAIN: plain.host}
        running = stack.enter_context(proxy(places))
        yield Net(hub, secure, plain, str(top / "certs.d"), running)


@contextlib.contextmanager
def engine(root: Path, net: Net, **changed: object) -> Iterator[Engine]:
    """Open an engine in front of `net`, and forget what the proxy was asked before."""
    net.proxy.asked.clear()
    net.proxy.authorizations.clear()
    known = {"environment": net.environment, "certificates": net.certificates, "tries": 2, "back_off": 0.01}
    with Engine(str(root), registry=Settings(**{**known, **changed})) as running:  # type: ignore[arg-type]
        yield running


def push(sender: Engine, name: str, content: str, credential: Credential | None = None) -> str:
    """Build an image with `content` in it, push it as `name`, and remove it; return its id."""
    reference = Reference.parse(name)
    image = str(
        sender.build(io.BytesIO(context("FROM scratch\nCOPY a /a\n", {"a": content})), BuildRequest(tags=(reference,)))
    )
    sender.push(reference, keychain=for_registry(reference.registry, credential))
    sender.remove(image, force=True)
    return image


def test_a_mirror_is_asked_first(net: Net, tmp_path: Path) -> None:
    with docker_registry(str(tmp_path)) as mirror, engine(tmp_path / "root", net, mirrors=(f"{mirror.url}/",)) as ours:
        there = push(ours, f"{mirror.host}/library/first:1", "of the mirror")
        push(ours, "first:1", "of the hub")
        net.proxy.asked.clear()
        assert str(ours.pull(Reference.parse("first:1"))) == there
        assert net.proxy.asked == []
        image = ours.inspect("first:1")
        assert [name.familiar for name in image.tags] == ["first:1"]
        assert [name.familiar_name for name in image.digests] == ["first"]
        # Other registries have no mirror.
        with pytest.raises(ImagewrightError):
            ours.pull(Reference.parse(f"{mirror.host}/first:1"))
        built = ours.build(io.BytesIO(context("FROM first:1\nLABEL x=y\n")), BuildRequest(pull=True))
        assert str(ours.inspect(str(built)).parent) == there


def test_a_mirror_that_fails_is_passed_over(net: Net, tmp_path: Path) -> None:
    answers = {"refuses": Response(500), "denies": Response(401), "talks": Response(200, body=b"<html>")}
    with contextlib.ExitStack() as stack:
        mirrors = ["http://127.0.0.1:1/"]
        for answer in answers.values():
            broken = stack.enter_context(fake_registry())
            broken.fault(".*", lambda _request, _answer, answer=answer: answer)  # type: ignore[misc]
            mirrors.append(f"{broken.server.url}/")
        empty = stack.enter_context(docker_registry(str(tmp_path)))
        ours = stack.enter_context(engine(tmp_path / "root", net, mirrors=(*mirrors, f"{empty.url}/")))
        there = push(ours, "second:1", "of the hub")
        assert net.proxy.asked
        assert str(ours.pull(Reference.parse("second:1"))) == there
        with pytest.raises(NotFound):
            ours.pull(Reference.parse("second:nope"))


@pytest.mark.parametrize("damage", ["lies", "breaks"])
def test_a_mirror_that_spoils_a_layer_is_passed_over(net: Net, tmp_path: Path, damage: str) -> None:
    """It has the manifest, and gives other bytes for the blobs, or never all of them."""
    with (
        fake_registry() as mirror,
        engine(tmp_path / "root", net, mirrors=(f"{mirror.server.url}/",)) as ours,
    ):
        there = push(ours, f"{damage}:1", "of the hub")
        received = ours.distribution(Reference.parse(f"{damage}:1"))
        with RegistryClient(Settings(environment=net.environment, certificates=net.certificates)) as client:
            manifest = client.get_manifest(Reference.parse(f"{damage}:1"))
        head = {"Content-Type": manifest.media_type, "Docker-Content-Digest": str(received.digest)}
        mirror.fault("GET /v2/", lambda _request, _answer: Response(200))
        mirror.fault("GET .*/manifests/.*", lambda _request, _answer: Response(200, head, manifest.data))
        spoilt = Response(200, body=b"x" * 100) if damage == "lies" else Response(200, body=b"", cut=0, length=10)
        mirror.fault("GET .*/blobs/.*", lambda _request, _answer: spoilt)
        assert str(ours.pull(Reference.parse(f"{damage}:1"))) == there
        assert [request.path for request in mirror.server.requests if "/blobs/" in request.path]
        assert ours.inspect(f"{damage}:1").tags


def test_a_mirror_sees_no_password_of_docker_hub(net: Net, tmp_path: Path) -> None:
    with (
        fake_registry(FakeRegistry(accounts={USER: PASSWORD})) as mirror,
        engine(tmp_path / "root", net, mirrors=(f"{mirror.server.url}/",)) as ours,
    ):
        push(ours, "third:1", "of the hub")
        ours.pull(Reference.parse("third:1"), keychain=for_registry("docker.io", Credential(USER, PASSWORD)))
        assert mirror.server.requests
        assert not [request.authorization for request in mirror.server.requests if request.authorization]


def test_https_goes_through_a_tunnel(net: Net, tmp_path: Path) -> None:
    credential = Credential(USER, PASSWORD)
    with engine(tmp_path / "root", net) as ours:
        image = push(ours, "secure.example/team/app:1", "far", credential)
        reference = Reference.parse("secure.example/team/app:1")
        assert str(ours.pull(reference, keychain=for_registry("secure.example", credential))) == image
        assert set(net.proxy.asked) == {SECURE}
        assert ours.login("secure.example", credential).status == "Login Succeeded"
    # Without the authority there is no trust, proxy or not.
    with engine(tmp_path / "root", net, certificates="/nonexistent") as ours:
        with pytest.raises(ImagewrightError, match="certificate"):
            ours.pull(reference, keychain=for_registry("secure.example", credential))
        assert set(net.proxy.asked) == {SECURE}
    # An operator who lists the host does without.
    with engine(tmp_path / "root", net, certificates="/nonexistent", insecure=("secure.example",)) as ours:
        ours.remove(image, force=True)
        assert str(ours.pull(reference, keychain=for_registry("secure.example", credential))) == image


def test_http_is_for_listed_registries_only(net: Net, tmp_path: Path) -> None:
    with engine(tmp_path / "root", net, insecure=("plain.example",)) as ours:
        image = push(ours, "plain.example/team/app:1", "clear")
        assert str(ours.pull(Reference.parse("plain.example/team/app:1"))) == image
        # TLS is tried first, at a port where there is none.
        assert net.proxy.asked[0] == "plain.example:443"
        assert PLAIN in net.proxy.asked
    for listed in ((), ("example",), ("plain.example:5000",)):
        with engine(tmp_path / "root", net, insecure=listed) as ours:
            with pytest.raises(ImagewrightError):
                ours.pull(Reference.parse("plain.example/team/app:1"))
            assert set(net.proxy.asked) == {"plain.example:443"}


def test_no_proxy_and_the_proxy_s_own_password(net: Net, tmp_path: Path) -> None:
    reference = Reference.parse("plain.example/team/app:1")
    for excluded in ("plain.example", ".example", "other,*"):
        environment = {**net.environment, "NO_PROXY": excluded}
        with engine(tmp_path / "root", net, insecure=("plain.example",), environment=environment) as ours:
            # There is no such host but through the proxy.
            with pytest.raises(ImagewrightError):
                ours.pull(reference)
            assert net.proxy.asked == []
    secret = net.proxy.url.replace("http://", "http://me:secret@")
    environment = {"http_proxy": secret, "https_proxy": secret, "no_proxy": "elsewhere.example"}
    with engine(tmp_path / "root", net, insecure=("plain.example",), environment=environment) as ours:
        push(ours, reference.familiar, "with a password")
        assert set(net.proxy.authorizations) == {"Basic bWU6c2VjcmV0"}
        info = ours.info()
        assert "secret" not in repr(info)
        assert info.http_proxy == net.proxy.url.replace("http://", "http://xxxxx:xxxxx@")
        assert info.no_proxy == "elsewhere.example"


def test_the_daemon_takes_and_tells_its_settings(net: Net, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags, the configuration file and the environment, each for a part."""
    for name, value in net.environment.items():
        monkeypatch.setenv(name, value)
    with docker_registry(str(tmp_path)) as mirror, engine(tmp_path / "root", net) as sender:
        image = push(sender, f"{mirror.host}/library/fourth:1", "of the mirror")
        file = tmp_path / "daemon.json"
        file.write_text(json.dumps({"registry-mirrors": [mirror.url]}))
        flags = ("--certs-dir", net.certificates, "--insecure-registry", "reg.example:5000")
        with daemon(str(tmp_path), *flags, "--config-file", str(file)) as ours:
            status, _ = request(ours.socket, "POST", "/images/create?fromImage=fourth&tag=1", b"")
            assert status == 200
            _, body = request(ours.socket, "GET", "/images/fourth:1/json")
            assert json.loads(body)["Id"] == image
            _, body = request(ours.socket, "GET", "/info")
            info = json.loads(body)
            mirrors = [f"{mirror.url}/"]
            assert info["RegistryConfig"] == {
                "AllowNondistributableArtifactsCIDRs": [],
                "AllowNondistributableArtifactsHostnames": [],
                "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
                "IndexConfigs": {
                    "reg.example:5000": {
                        "Name": "reg.example:5000",
                        "Mirrors": [],
                        "Secure": False,
                        "Official": False,
                    },
                    "docker.io": {"Name": "docker.io", "Mirrors": mirrors, "Secure": True, "Official": True},
                },
                "Mirrors": mirrors,
            }
            assert info["HttpsProxy"] == net.proxy.url
            for cli in docker_clis():
                shown = cli.ok(ours.host, "info")
                assert f"Registry Mirrors:\n  {mirror.url}/" in shown
                assert "reg.example:5000" in shown
            # With its certificate verified, through the proxy.
            _, body = request(ours.socket, "POST", "/images/create?fromImage=secure.example/team/app&tag=1", b"")
            assert b"no basic auth credentials" in body


@pytest.mark.compat("dockerd", "docker")
def test_the_settings_are_told_as_the_engine_tells_them(tmp_path: Path) -> None:
    flags: tuple[str, ...] = ("--registry-mirror", "https://m.example:5000", "--registry-mirror", "http://n.example/")
    flags += ("--insecure-registry", "10.1.2.3/8", "--insecure-registry", "reg.example:5000")
    told = []
    (tmp_path / "ours").mkdir()
    for run, directory in ((daemon, tmp_path / "ours"), (dockerd, tmp_path)):
        with run(str(directory), *flags) as running:
            _, body = request(running.socket, "GET", "/info")
            told.append(json.loads(body)["RegistryConfig"])
    mine, theirs = told
    # Newer engines name the other loopback network too.
    mine["InsecureRegistryCIDRs"].remove("::1/128")
    assert mine == theirs
