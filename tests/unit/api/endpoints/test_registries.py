import base64
import json

import pytest

from imagewright.errors import NotFound
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Credential
from unit.api.fake_daemon import FakeDaemon
from unit.api.fake_engine import FakeEngine

ALICE = Credential("alice", "secret")
AUTH = {"X-Registry-Auth": base64.urlsafe_b64encode(b'{"username":"alice","password":"secret"}').decode()}
DIGEST = Digest.of(b"d")


@pytest.mark.parametrize(
    ("query", "name", "all_tags"),
    [
        ("fromImage=localhost:5000/x&tag=1", "localhost:5000/x:1", False),
        ("fromImage=localhost:5000/x:2", "localhost:5000/x:2", False),
        ("fromImage=localhost:5000/x:2&tag=3", "localhost:5000/x:3", False),
        (f"fromImage=localhost:5000/x&tag={DIGEST}", f"localhost:5000/x@{DIGEST}", False),
        ("fromImage=localhost:5000/x", "localhost:5000/x", True),
    ],
)
def test_what_is_pulled(daemon: FakeDaemon, engine: FakeEngine, query: str, name: str, all_tags: bool) -> None:
    reply = daemon.request("POST", f"/v1.41/images/create?{query}", b"", AUTH)
    assert (reply.status, reply.messages) == (200, [{"status": "Pulling from x", "id": "1"}])
    assert engine.calls == [("pull", Reference.parse(name), None, all_tags, ALICE)]


def test_a_placeholder_is_no_credential(daemon: FakeDaemon, engine: FakeEngine) -> None:
    daemon.request("POST", "/images/create?fromImage=x&tag=1&platform=linux/amd64", b"", {"X-Registry-Auth": "hi"})
    assert engine.calls == [("pull", Reference.parse("x:1"), Platform("linux", "amd64"), False, None)]


def test_another_platform_is_pulled(daemon: FakeDaemon, engine: FakeEngine) -> None:
    daemon.request("POST", "/images/create?fromImage=x&tag=1&platform=arm64", b"")
    daemon.request("POST", "/v1.31/images/create?fromImage=x&tag=1&platform=arm64", b"")
    assert [call[2] for call in engine.calls] == [Platform("linux", "arm64"), None]
    assert daemon.request("POST", "/images/create?fromImage=x&tag=1&platform=a/b/c/d", b"").status == 400


def test_a_pull_that_fails_at_once_is_no_stream(daemon: FakeDaemon, engine: FakeEngine) -> None:
    def fail(_name: str) -> None:
        raise NotFound("manifest unknown")

    engine.before = fail
    reply = daemon.request("POST", "/images/create?fromImage=x&tag=1", b"")
    assert (reply.status, reply.json) == (404, {"message": "manifest unknown"})


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("fromImage=scratch", 403, "'scratch' is a reserved name"),
        ("fromImage=UPPER", 400, "invalid reference format: repository name must be lowercase"),
        ("fromImage=x&tag=b%20d", 400, "invalid tag format"),
        ("fromImage=x&tag=md5:1", 400, "invalid digest: 'md5:1'"),
    ],
)
def test_what_cannot_be_pulled(daemon: FakeDaemon, query: str, status: int, message: str) -> None:
    reply = daemon.request("POST", f"/images/create?{query}", b"")
    assert (reply.status, reply.json["message"]) == (status, message)


@pytest.mark.parametrize(
    ("target", "name", "all_tags"),
    [("x/push?tag=2", "x:2", False), ("r.example/a/b:3/push", "r.example/a/b:3", False), ("x/push", "x", True)],
)
def test_what_is_pushed(daemon: FakeDaemon, engine: FakeEngine, target: str, name: str, all_tags: bool) -> None:
    reply = daemon.request("POST", f"/v1.41/images/{target}", b"{}", AUTH)
    assert reply.messages == [{"progressDetail": {}, "aux": {"Tag": Reference.parse(name).tag}}]
    assert engine.calls == [("push", Reference.parse(name), all_tags, None, ALICE)]


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_push_with_a_compression(daemon: FakeDaemon, engine: FakeEngine, compression: str) -> None:
    assert daemon.request("POST", f"/images/x:1/push?compression={compression}", b"").status == 200
    assert engine.calls == [("push", Reference.parse("x:1"), False, compression, None)]


def test_a_push_with_a_compression_that_is_none(daemon: FakeDaemon, engine: FakeEngine) -> None:
    reply = daemon.request("POST", "/images/x:1/push?compression=brotli", b"")
    assert reply.status == 400
    assert reply.json == {"message": "the parameter compression is 'brotli', and can be gzip or zstd"}
    assert engine.calls == []


@pytest.mark.parametrize(
    ("method", "target", "words"),
    [("pull", "create?fromImage=x&tag=1", "Pull cancelled"), ("push", "x/push?tag=1", "Push cancelled")],
)
def test_what_is_said_of_a_transfer_that_is_not_wanted(
    daemon: FakeDaemon, engine: FakeEngine, method: str, target: str, words: str
) -> None:
    engine.cancelling = method
    assert daemon.request("POST", f"/images/{target}", b"").json == {"message": words}


def test_a_digest_is_not_pushed(daemon: FakeDaemon) -> None:
    assert daemon.request("POST", f"/images/x@{DIGEST}/push", b"").status == 400


def test_one_platform_of_an_image_is_not_pushed(daemon: FakeDaemon) -> None:
    assert daemon.request("POST", "/v1.46/images/x/push?platform=%7B%7D", b"").status == 501
    assert daemon.request("POST", "/v1.45/images/x/push?platform=%7B%7D", b"").status == 200


def test_login(daemon: FakeDaemon, engine: FakeEngine) -> None:
    body = {"username": "alice", "password": "secret", "email": None, "serveraddress": "localhost:5000"}
    reply = daemon.request("POST", "/v1.41/auth", json.dumps(body).encode())
    assert reply.json == {"IdentityToken": "", "Status": "Login Succeeded"}
    daemon.request("POST", "/v1.41/auth", b"{}")
    assert engine.calls == [("login", "localhost:5000", ALICE), ("login", "docker.io", Credential())]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"username":1}', b"[" * 100_000, b'{"username":"\xff"}'])
def test_a_login_that_says_nothing(daemon: FakeDaemon, body: bytes) -> None:
    assert daemon.request("POST", "/auth", body).status == 400


def test_search(daemon: FakeDaemon, engine: FakeEngine) -> None:
    reply = daemon.request("GET", "/v1.41/images/search?term=foo&limit=5&filters=%7B%22stars%22:%5B%223%22%5D%7D")
    assert reply.json == [
        {"star_count": 3, "is_official": True, "name": "foo", "is_automated": False, "description": "found"}
    ]
    assert engine.calls == [("search", "foo", 5, {"stars": ("3",)})]
    assert daemon.request("GET", "/images/search?term=foo&limit=500").status == 400
    assert daemon.request("GET", "/images/search").status == 400


def test_distribution(daemon: FakeDaemon, engine: FakeEngine) -> None:
    reply = daemon.request("GET", "/v1.41/distribution/r.example/x:1/json", None, AUTH)
    assert reply.json == {
        "Descriptor": {"mediaType": "type", "digest": str(Digest.of(b"m")), "size": 7},
        "Platforms": [{"architecture": "arm", "os": "linux", "variant": "v7"}],
    }
    assert engine.calls == [("distribution", Reference.parse("r.example/x:1"), ALICE)]


def test_a_build_is_told_to_pull_and_with_what(daemon: FakeDaemon, engine: FakeEngine) -> None:
    config = base64.urlsafe_b64encode(b'{"localhost:5000":{"username":"alice","password":"secret"}}').decode()
    daemon.request("POST", "/build?pull=1", b"", {"X-Registry-Config": config})
    (request,) = engine.requests
    assert request.pull
    assert (request.keychain("localhost:5000"), request.keychain("other")) == (ALICE, None)
