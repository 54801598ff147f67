"""The client against Debian's docker-registry, and against addresses that only a network namespace has."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence

import pytest

from imagewright.errors import Forbidden, ImagewrightError, NotFound, SystemFailure
from imagewright.oci import Descriptor, Digest
from imagewright.reference import Reference
from imagewright.registry import Client, Credential, Keychain, for_registry, no_credentials
from support.certificates import Authority, Pair
from support.fake_registry import OCI_MANIFEST, FakeRegistry, fake_registry, make_image, redirect
from support.loopback import Response, loopback_server
from support.registry import PASSWORD, USER, DockerRegistry, docker_registry
from support.registry_world import pull, read_blob, settings
from support.relay import relay
from support.token_server import TokenServer, token_server

pytestmark = pytest.mark.compat("docker-registry", "openssl")

REFUSED = (Forbidden, NotFound)
LAYERS = [random.Random(size).randbytes(size) for size in (0, 1, 700_000, 3_000_000)]  # noqa: S311 - the same each time
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def client(host: str, keychain: Keychain | None = None, **changed: object) -> Client:
    """Return a client that knows `USER` at `host` and nobody else."""
    known = for_registry(host, Credential(USER, PASSWORD))
    quick = {"idle_timeout": 5.0, "back_off": 0.01, "upload_chunk": 1 << 20}
    return Client(settings(**{**quick, **changed}), keychain or known)


def push(sender: Client, reference: Reference, layers: Sequence[bytes] = LAYERS) -> Digest:
    """Push an image of `layers`; return its digest."""
    diff_ids = [str(Digest.of(layer)) for layer in layers]
    rootfs = {"type": "layers", "diff_ids": diff_ids}
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    for blob in (config, *layers):
        digest = Digest.of(blob)
        if not sender.has_blob(reference, digest):
            sender.upload_blob(reference, len(blob), digest, lambda blob=blob: io.BytesIO(blob))  # type: ignore[misc]
    described = [{"mediaType": LAYER, "digest": str(Digest.of(blob)), "size": len(blob)} for blob in layers]
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": CONFIG, "digest": str(Digest.of(config)), "size": len(config)},
        "layers": described,
    }
    return sender.put_manifest(reference, OCI_MANIFEST, json.dumps(document).encode())


def round_trip(sender: Client, host: str, *, repository: str = "team/app") -> None:
    """Push, and pull the same again, by tag and by digest."""
    reference = Reference.parse(f"{host}/{repository}:1")
    digest = push(sender, reference)
    for name in (reference, Reference(reference.registry, reference.repository, digest=digest)):
        image, layers = pull(sender, name)
        assert image.digest == digest
        assert layers == LAYERS
    assert sender.list_tags(reference) == ["1"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("plain"))) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("guarded")), accounts=True) as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(str(tmp_path_factory.mktemp("authority")))


@pytest.fixture(scope="module")
def secure(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    directory = str(tmp_path_factory.mktemp("secure"))
    with docker_registry(directory, accounts=True, tls=authority.issue("server")) as running:
        yield running


@pytest.fixture(scope="module")
def mutual(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    directory = str(tmp_path_factory.mktemp("mutual"))
    server = authority.issue("mutual-server")
    with docker_registry(directory, tls=server, clients=authority.certificate) as running:
        yield running


@pytest.fixture(scope="module")
def tokens(authority: Authority) -> Iterator[TokenServer]:
    accounts, signing = {USER: PASSWORD}, authority.issue_rsa("tokens")
    with token_server(TokenServer(accounts, public=["team/public"], signing=signing)) as running:
        yield running


@pytest.fixture(scope="module")
def bearer(tokens: TokenServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with docker_registry(str(tmp_path_factory.mktemp("bearer")), tokens=tokens) as running:
        yield running


def test_plain(plain: DockerRegistry) -> None:
    with client(plain.host, no_credentials) as sender:
        round_trip(sender, plain.host)


def test_an_image_that_is_there_is_not_sent_again(plain: DockerRegistry) -> None:
    with relay(plain.host) as between, client(between.host, no_credentials) as sender:
        reference = Reference.parse(f"{between.host}/team/again:1")
        first = push(sender, reference)
        blobs = plain.blobs()

        assert all(sender.has_blob(reference, Digest.of(layer)) for layer in LAYERS)
        assert push(sender, reference) == first
        assert plain.blobs() == blobs


def test_a_blob_of_another_repository_is_mounted(plain: DockerRegistry) -> None:
    with client(plain.host, no_credentials) as sender:
        push(sender, Reference.parse(f"{plain.host}/team/source:1"))
        target = Reference.parse(f"{plain.host}/team/mounted:1")

        assert sender.mount_blob(target, Digest.of(LAYERS[2]), "team/source")
        assert sender.has_blob(target, Digest.of(LAYERS[2]))
        assert not sender.mount_blob(target, Digest.of(b"nowhere"), "team/source")


def test_what_is_not_there(plain: DockerRegistry) -> None:
    with client(plain.host, no_credentials) as sender:
        push(sender, Reference.parse(f"{plain.host}/team/there:1"))
        for name in ("team/there:2", "team/not-there:1"):
            reference = Reference.parse(f"{plain.host}/{name}")
            assert sender.head_manifest(reference) is None
            with pytest.raises(NotFound, match=f"^manifest for {plain.host}/{name} not found: "):
                sender.get_manifest(reference)
        with pytest.raises(NotFound):
            read_blob(sender, Reference.parse(f"{plain.host}/team/there"), Descriptor(LAYER, str(Digest.of(b"no")), 2))


def test_more_tags_than_one_page_holds(plain: DockerRegistry) -> None:
    with client(plain.host, no_credentials) as sender:
        reference = Reference.parse(f"{plain.host}/team/many:1")
        push(sender, reference, [b"layer"])
        received = sender.get_manifest(reference)
        tags = sorted(f"t{number}" for number in range(120))
        for tag in tags:
            sender.put_manifest(reference.with_tag(tag), received.media_type, received.data)

        assert sorted(sender.list_tags(reference)) == ["1", *tags]


def test_a_password(guarded: DockerRegistry) -> None:
    with client(guarded.host) as sender:
        round_trip(sender, guarded.host)
        assert sender.login(guarded.host, Credential(USER, PASSWORD)).status == "Login Succeeded"


@pytest.mark.parametrize("credential", [None, Credential(USER, "wrong-word"), Credential("bob", PASSWORD)])
def test_a_password_that_is_wrong(guarded: DockerRegistry, credential: Credential | None) -> None:
    reference = Reference.parse(f"{guarded.host}/team/app:1")
    with client(guarded.host, for_registry(guarded.host, credential)) as sender:
        for action in (lambda: pull(sender, reference), lambda: push(sender, reference)):
            with pytest.raises(REFUSED) as caught:
                action()
            assert "wrong-word" not in str(caught.value)
        if credential:
            with pytest.raises(Forbidden, match="401 Unauthorized"):
                sender.login(guarded.host, credential)


def certificates(directory: pathlib.Path, host: str, authority: str, pair: Pair | None = None) -> str:
    """Lay out a directory as Docker's `certs.d`; return its path."""
    own = directory / "certs.d" / host
    own.mkdir(parents=True)
    (own / "ca.crt").write_bytes(pathlib.Path(authority).read_bytes())
    if pair is not None:
        (own / "client.cert").write_bytes(pathlib.Path(pair.certificate).read_bytes())
        (own / "client.key").write_bytes(pathlib.Path(pair.key).read_bytes())
    return str(directory / "certs.d")


def test_an_authority_of_its_own(secure: DockerRegistry, authority: Authority, tmp_path: pathlib.Path) -> None:
    with client(secure.host, certificates=certificates(tmp_path, secure.host, authority.certificate)) as sender:
        round_trip(sender, secure.host)


def test_another_authority_than_the_one_that_is_known(secure: DockerRegistry, tmp_path: pathlib.Path) -> None:
    """The loopback needs no certificate that is known, as with the engine, unless the operator gave one."""
    stranger = Authority(str(tmp_path), name="stranger")
    known = certificates(tmp_path, secure.host, stranger.certificate)
    with client(secure.host, certificates=known) as sender, pytest.raises(SystemFailure, match="certificate"):
        round_trip(sender, secure.host)


def test_a_certificate_of_another_host(authority: Authority, tmp_path: pathlib.Path) -> None:
    pair = authority.issue("other", addresses=("127.0.0.9",))
    with docker_registry(str(tmp_path), tls=pair) as other:
        known = certificates(tmp_path, other.host, authority.certificate)
        with client(other.host, certificates=known) as sender, pytest.raises(SystemFailure, match="certificate"):
            round_trip(sender, other.host)


def test_a_client_certificate(mutual: DockerRegistry, authority: Authority, tmp_path: pathlib.Path) -> None:
    pair = authority.issue("client")
    with client(
        mutual.host, no_credentials, certificates=certificates(tmp_path, mutual.host, authority.certificate, pair)
    ) as sender:
        round_trip(sender, mutual.host)


def test_a_client_certificate_that_is_missing(
    mutual: DockerRegistry, authority: Authority, tmp_path: pathlib.Path
) -> None:
    stranger = Authority(str(tmp_path), name="stranger").issue("client")
    for number, pair in enumerate((None, stranger)):
        known = certificates(tmp_path / str(number), mutual.host, authority.certificate, pair)
        with client(mutual.host, certificates=known) as sender, pytest.raises(SystemFailure) as caught:
            round_trip(sender, mutual.host)
        assert str(tmp_path) not in str(caught.value)


def test_a_client_key_that_is_none(mutual: DockerRegistry, authority: Authority, tmp_path: pathlib.Path) -> None:
    pair = authority.issue("keyless")
    known = certificates(tmp_path, mutual.host, authority.certificate, pair)
    for damage in (b"no key at all", None):
        key = tmp_path / "certs.d" / mutual.host / "client.key"
        key.unlink() if damage is None else key.write_bytes(damage)
        with client(mutual.host, certificates=known) as sender, pytest.raises(ImagewrightError) as caught:
            round_trip(sender, mutual.host)
        assert str(tmp_path) not in str(caught.value)


def test_tokens(bearer: DockerRegistry, tokens: TokenServer) -> None:
    tokens.server.requests.clear()
    with client(bearer.host) as sender:
        round_trip(sender, bearer.host)
        # One to push with, and perhaps one to pull with before; none is asked for again.
        assert len(tokens.server.requests) <= 3
        assert sender.login(bearer.host, Credential(USER, PASSWORD)).status == "Login Succeeded"


def test_a_mount_with_tokens(bearer: DockerRegistry) -> None:
    """The token must be good for both repositories."""
    with client(bearer.host) as sender:
        push(sender, Reference.parse(f"{bearer.host}/team/from:1"))
        target = Reference.parse(f"{bearer.host}/team/to:1")

        assert sender.mount_blob(target, Digest.of(LAYERS[3]), "team/from")


def test_an_identity_token(bearer: DockerRegistry, tokens: TokenServer) -> None:
    credential = Credential(identity_token=tokens.refresh_token(USER))
    with client(bearer.host, for_registry(bearer.host, credential)) as sender:
        round_trip(sender, bearer.host, repository="team/identity")


def test_tokens_for_nobody_in_particular(bearer: DockerRegistry) -> None:
    reference = Reference.parse(f"{bearer.host}/team/public:1")
    with client(bearer.host) as sender, client(bearer.host, no_credentials) as nobody:
        push(sender, reference)

        assert pull(nobody, reference)[1] == LAYERS
        with pytest.raises(REFUSED, match="denied"):
            push(nobody, reference, [b"other"])
        with pytest.raises(REFUSED, match="denied"):
            pull(nobody, Reference.parse(f"{bearer.host}/team/app:1"))


@pytest.mark.parametrize("position", [1, 200, 5_000, 65_536, 400_000, 699_000])
def test_a_broken_pull_goes_on(plain: DockerRegistry, position: int) -> None:
    layer = LAYERS[2]
    with relay(plain.host) as between, client(between.host, no_credentials) as receiver:
        reference = Reference.parse(f"{between.host}/team/broken:1")
        push(receiver, reference, [layer])
        between.cuts[:] = [position, position]

        assert read_blob(receiver, reference, Descriptor(LAYER, str(Digest.of(layer)), len(layer))) == layer
        assert len(between.cuts) <= 1


@pytest.mark.parametrize("position", [1, 300, 1_000, 70_000, 1_000_000, 1_500_000, 2_990_000])
@pytest.mark.parametrize("chunk", [1 << 18, 1 << 26], ids=["pieces", "whole"])
def test_a_broken_push_goes_on(plain: DockerRegistry, position: int, chunk: int) -> None:
    data = hashlib.sha256(f"{position} {chunk}".encode()).digest() + LAYERS[3]
    with relay(plain.host) as between, client(between.host, no_credentials, upload_chunk=chunk) as sender:
        between.up = True
        reference = Reference.parse(f"{between.host}/team/broken:1")
        between.cuts[:] = [position, position]

        sender.upload_blob(reference, len(data), Digest.of(data), lambda: io.BytesIO(data))

        assert between.cuts == []
        assert str(Digest.of(data)) in plain.blobs()
        assert read_blob(sender, reference, Descriptor(LAYER, str(Digest.of(data)), len(data))) == data


def test_a_registry_that_goes_away(tmp_path: pathlib.Path) -> None:
    with docker_registry(str(tmp_path)) as gone, client(gone.host, no_credentials) as sender:
        round_trip(sender, gone.host)
        gone.process.kill()
        gone.process.wait()

        with pytest.raises(SystemFailure, match=r"connection refused|EOF"):
            pull(sender, Reference.parse(f"{gone.host}/team/app:1"))


def test_a_redirect_from_https_to_http_is_refused(authority: Authority, tmp_path: pathlib.Path) -> None:
    context = authority.server_context(authority.issue("redirecting"))
    with fake_registry(tls=context) as registry, loopback_server(lambda _request: Response(200)) as elsewhere:
        make_image(registry, "team/app", "1", b"layer")
        registry.fault("GET .*/blobs/.*", redirect(elsewhere.url + "{target}"))
        known = certificates(tmp_path, registry.host, authority.certificate)
        with client(registry.host, certificates=known) as receiver, pytest.raises((SystemFailure, Forbidden)):
            pull(receiver, Reference.parse(f"{registry.host}/team/app:1"))

        assert elsewhere.requests == []


@pytest.mark.compat("docker-registry", "skopeo")
def test_skopeo_reads_what_was_pushed_and_writes_what_is_pulled(plain: DockerRegistry, tmp_path: pathlib.Path) -> None:
    reference = Reference.parse(f"{plain.host}/team/skopeo:1")
    with client(plain.host, no_credentials) as sender:
        digest = push(sender, reference, LAYERS[1:])
        _skopeo("copy", "--src-tls-verify=false", f"docker://{plain.host}/team/skopeo:1", f"dir:{tmp_path}/there")
        back = ("copy", "--dest-tls-verify=false", f"dir:{tmp_path}/there", f"docker://{plain.host}/team/back:1")
        _skopeo(*back)

        assert Digest.of((tmp_path / "there" / "manifest.json").read_bytes()) == digest
        assert pull(sender, Reference.parse(f"{plain.host}/team/back:1"))[0].digest == digest


def _skopeo(*arguments: str) -> None:
    result = subprocess.run(["skopeo", "--insecure-policy", *arguments], capture_output=True, check=False)
    assert result.returncode == 0, result.stderr.decode(errors="replace")


# What follows runs in a network namespace in which only this machine is, under addresses that the loopback has not.
_NEAR, _OTHER, _METADATA = "10.1.2.3", "10.1.2.4", "169.254.169.254"
_NAMESPACE = (
    f"ip link set lo up; for address in {_NEAR} {_OTHER} {_METADATA}; do ip addr add $address/32 dev lo; done; "
    'exec "$@"'
)
BEYOND = (
    "metadata_is_never_asked",
    "http_is_for_listed_hosts",
    "certificates_are_verified",
    "passwords_stay_with_whom_they_were_given_for",
    "redirects_are_not_believed",
)


@pytest.mark.parametrize("name", BEYOND)
def test_beyond_the_loopback(name: str, tmp_path: pathlib.Path) -> None:
    """Run the function called `name` where link-local and private addresses are this machine's own."""
    tests = os.path.dirname(os.path.dirname(__file__))
    program = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]](sys.argv[3])"
    result = subprocess.run(
        ["unshare", "--net", "sh", "-c", _NAMESPACE, "sh", sys.executable, "-c", program, __file__, name, tmp_path],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join([tests, os.path.join(tests, "../src")])},
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr.decode(errors="replace")


def metadata_is_never_asked(_directory: str) -> None:
    """Neither by address, nor by redirect, nor as the realm or the proxy, nor where all is listed as insecure."""
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(fake_registry())
        far = stack.enter_context(fake_registry(address=_NEAR))
        metadata = stack.enter_context(loopback_server(lambda _request: Response(200), address=_METADATA))
        listed = (metadata.host, far.host, "0.0.0.0/0")
        challenge = {"WWW-Authenticate": f'Bearer realm="{metadata.url}/token",service="x"'}
        for place in (registry, far):
            make_image(place, "team/app", "1", b"layer")
            receiver = stack.enter_context(client(place.host, insecure=listed))
            place.fault("GET .*/blobs/.*", redirect(metadata.url + "{target}"))
            _fails(receiver, f"{place.host}/team/app:1")
            place.server.faults.clear()
            place.fault(".*", lambda _request, _response: Response(401, challenge))
            _fails(receiver, f"{place.host}/team/app:1")
        _fails(receiver, f"{metadata.host}/team/app:1")
        proxied = {"HTTP_PROXY": metadata.url, "HTTPS_PROXY": metadata.url}
        with client("registry.example", insecure=("registry.example",), environment=proxied) as receiver:
            _fails(receiver, "registry.example/team/app:1")
        assert metadata.requests == [], metadata.asked


def http_is_for_listed_hosts(_directory: str) -> None:
    """A registry that is not listed is told nothing in the clear, not even that somebody is there."""
    with fake_registry(FakeRegistry(accounts={USER: PASSWORD}), address=_NEAR) as registry:
        make_image(registry, "team/app", "1", b"layer")
        reference = f"{registry.host}/team/app:1"
        for listed in ((), (f"{_NEAR}:1",), ("10.1.0.0/30", "127.0.0.0/8"), (f"{_OTHER}:{registry.server.port}",)):
            with client(registry.host, insecure=listed) as receiver:
                _fails(receiver, reference)
                with pytest.raises(ImagewrightError):
                    receiver.login(registry.host, Credential(USER, PASSWORD))
        assert registry.server.requests == [], registry.server.asked
        for entry in (registry.host, "10.1.0.0/16"):
            with client(registry.host, insecure=(entry,)) as receiver:
                pull(receiver, Reference.parse(reference))


def certificates_are_verified(directory: str) -> None:
    """By the authorities of the host's own directory, or, for a listed host, by none."""
    authority, stranger = Authority(directory), Authority(directory, name="stranger")
    good = authority.issue("good", addresses=(_NEAR,))
    with contextlib.ExitStack() as stack:
        for pair, works in ((good, True), (authority.issue("other", addresses=(_OTHER,)), False)):
            registry = stack.enter_context(
                fake_registry(
                    FakeRegistry(accounts={USER: PASSWORD}), address=_NEAR, tls=authority.server_context(pair)
                )
            )
            make_image(registry, "team/app", "1", b"layer")
            text = f"{registry.host}/team/app:1"
            top = pathlib.Path(directory) / str(registry.server.port)
            own = certificates(top / "own", registry.host, authority.certificate)
            other_port = certificates(top / "port", f"{_NEAR}:1", authority.certificate)
            strange = certificates(top / "strange", registry.host, stranger.certificate)
            for known in ("/nonexistent", other_port, strange, *(() if works else (own,))):
                with client(registry.host, certificates=known) as receiver:
                    _fails(receiver, text, says="certificate")
            assert registry.server.requests == []
            if works:
                with client(registry.host, certificates=own) as receiver:
                    pull(receiver, Reference.parse(text))
            with client(registry.host, insecure=(registry.host,)) as receiver:
                pull(receiver, Reference.parse(text))


def passwords_stay_with_whom_they_were_given_for(_directory: str) -> None:
    """A registry in the clear, which anybody between could be, does not decide who else is told."""
    tokens = TokenServer({USER: PASSWORD})
    for realm_address, listed in ((_NEAR, ()), (_OTHER, ()), (_OTHER, ("10.1.0.0/16",)), ("127.0.0.1", ())):
        with (
            token_server(tokens, address=realm_address),
            fake_registry(FakeRegistry(tokens=tokens), address=_NEAR) as registry,
        ):
            make_image(registry, "team/app", "1", b"layer")
            for credential in (Credential(USER, PASSWORD), Credential("", "", tokens.refresh_token(USER))):
                keychain = for_registry(registry.host, credential)
                with client(registry.host, keychain, insecure=(registry.host, *listed)) as receiver:
                    _fails(receiver, f"{registry.host}/team/app:1")
            assert tokens.server.authorizations == set()
            assert not [request for request in tokens.server.requests if request.method == "POST"]


def redirects_are_not_believed(directory: str) -> None:
    """What holds for the registry, that it may be http, or not verified, or this machine, holds for no other host."""
    authority = Authority(directory)
    pair = authority.issue("both", addresses=(_NEAR, _OTHER))
    context = authority.server_context(pair)
    for tls in (None, context):
        with (
            fake_registry(address=_NEAR, tls=tls) as registry,
            fake_registry(address=_OTHER) as plain,
            fake_registry(address=_OTHER, tls=context) as secure,
            fake_registry(address="127.0.0.1") as home,
        ):
            make_image(registry, "team/app", "1", b"layer")
            for elsewhere in (plain, secure, home):
                make_image(elsewhere, "team/app", "1", b"layer")
                registry.server.faults.clear()
                registry.fault("GET .*/blobs/.*", redirect(elsewhere.server.url + "{target}"))
                with client(registry.host, insecure=(registry.host,)) as receiver:
                    _fails(receiver, f"{registry.host}/team/app:1")
                assert elsewhere.server.requests == []
            known = certificates(pathlib.Path(directory) / str(secure.server.port), secure.host, authority.certificate)
            registry.server.faults.clear()
            registry.fault("GET .*/blobs/.*", redirect(secure.server.url + "{target}"))
            with client(registry.host, insecure=(registry.host,), certificates=known) as receiver:
                pull(receiver, Reference.parse(f"{registry.host}/team/app:1"))


def _fails(receiver: Client, text: str, *, says: str | None = None) -> None:
    with pytest.raises(ImagewrightError, match=says) as caught:
        pull(receiver, Reference.parse(text))
    assert PASSWORD not in str(caught.value)
