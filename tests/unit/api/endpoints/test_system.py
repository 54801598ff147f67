from urllib.parse import quote

import pytest

from imagewright.engine import CacheDirectory
from unit.api.fake_daemon import FakeDaemon


@pytest.mark.parametrize("prefix", ["", "/v1.21", "/v1.51"])
def test_ping(daemon: FakeDaemon, prefix: str) -> None:
    got = daemon.get(f"{prefix}/_ping")
    head = daemon.request("HEAD", f"{prefix}/_ping")
    assert (got.status, got.body, got.headers["Content-Length"]) == (200, b"OK", "2")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", "0")
    for headers in (got.headers, head.headers):
        assert headers["Api-Version"] == "1.51"
        assert headers["Builder-Version"] == "1"
        assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
        assert headers["Docker-Experimental"] == "false"
        assert headers["Ostype"] == "linux"
        assert headers["Pragma"] == "no-cache"


def test_version(daemon: FakeDaemon) -> None:
    reply = daemon.get("/version")
    assert reply.headers["Content-Type"] == "application/json"
    assert (reply.json["ApiVersion"], reply.json["MinAPIVersion"]) == ("1.51", "1.21")


def test_information(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    shown = daemon.get("/v1.41/info").json
    assert (shown["Images"], shown["Driver"], shown["MemTotal"]) == (1, "overlay2", 1 << 30)


def test_networks_and_volumes(daemon: FakeDaemon) -> None:
    assert daemon.get("/networks").json == []
    assert daemon.get("/volumes").body == b'{"Volumes":[],"Warnings":null}\n'
    reply = daemon.get("/v1.41/networks/project_default")
    assert (reply.status, reply.json) == (404, {"message": "network project_default not found"})


def test_disk_usage(daemon: FakeDaemon) -> None:
    image = daemon.engine.add("a:1")
    daemon.build("FROM scratch\nRUN exit 3")
    shown = daemon.get("/v1.41/system/df").json
    assert (shown["LayersSize"], shown["Volumes"], shown["BuildCache"], shown["BuilderSize"]) == (5678, [], None, 0)
    (entry,) = shown["Images"]
    assert (entry["Id"], entry["SharedSize"], entry["Containers"]) == (str(image), 234, 0)
    assert entry["VirtualSize"] == 1234
    (container,) = shown["Containers"]
    assert (container["SizeRootFs"], container["State"]) == (1234, "exited")


def test_there_is_no_cache_to_prune(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/v1.41/build/prune", b"")
    assert (reply.status, reply.json) == (200, {"CachesDeleted": None, "SpaceReclaimed": 0})


def cache(identity: str, *, size: int = 10, used_ns: int = 0, in_use: bool = False) -> CacheDirectory:
    return CacheDirectory(
        id=identity,
        name=f"/{identity}",
        sharing="shared",
        created_ns=0,
        used_ns=used_ns,
        uses=3,
        size=size,
        in_use=in_use,
    )


def test_caches_are_listed_and_pruned(daemon: FakeDaemon) -> None:
    daemon.engine.caches = [cache("a"), cache("b", in_use=True)]
    shown = daemon.get("/v1.41/system/df").json
    assert shown["BuilderSize"] == 20
    assert shown["BuildCache"][0] == {
        "ID": "a",
        "Parent": "",
        "Type": "exec.cachemount",
        "Description": "/a",
        "InUse": False,
        "Shared": False,
        "Size": 10,
        "CreatedAt": "1970-01-01T00:00:00Z",
        "LastUsedAt": "1970-01-01T00:00:00Z",
        "UsageCount": 3,
    }
    reply = daemon.request("POST", "/v1.41/build/prune?keep-storage=0&filters={}", b"")
    assert reply.json == {"CachesDeleted": ["a"], "SpaceReclaimed": 10}
    assert [left["ID"] for left in daemon.get("/v1.42/system/df?type=build-cache").json["BuildCache"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ('filters={"id":["a"]}', "bc"),
        ('filters={"description":{"/b":true}}', "ac"),
        ('filters={"type":["regular"]}', "abc"),
        ('filters={"type":["exec.cachemount"]}', ""),
        ('filters={"inuse":["true"]}', "abc"),
        ('filters={"until":["24h"]}', "c"),
        ('filters={"unused-for":["100000h"]}', "bc"),
        ("keep-storage=20", "bc"),
        ("keep-storage=100", "abc"),
        ("max-used-space=15", "c"),
        ("max-used-space=15&reserved-space=25", "bc"),
        ("min-free-space=15", "c"),
    ],
)
def test_which_caches_are_pruned(daemon: FakeDaemon, query: str, left: str) -> None:
    now_ns = 10**18
    daemon.engine.caches = [cache("c", used_ns=now_ns), cache("b", used_ns=now_ns - 10**15), cache("a")]
    assert daemon.request("POST", f"/build/prune?{quote(query, safe='=&')}", b"").status == 200
    assert "".join(sorted(cache.id for cache in daemon.engine.caches)) == left


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("filters={", "unexpected end of JSON input"),
        ('filters={"foo":["a"]}', "Invalid filter 'foo'"),
        ('filters={"until":["x"]}', ""),
        ('filters={"unused-for":["x"]}', "Invalid filter 'unused-for=[x]'"),
        ("keep-storage=x", ""),
        ("keep-storage=-1", "keep-storage is in bytes and not negative"),
    ],
)
def test_prune_requests_that_cannot_be(daemon: FakeDaemon, query: str, message: str) -> None:
    reply = daemon.request("POST", f"/build/prune?{quote(query, safe='=&')}", b"")
    assert reply.status == 400
    assert message in reply.json["message"]


def test_disk_usage_of_some_types(daemon: FakeDaemon) -> None:
    assert daemon.get("/v1.42/system/df?type=volume&type=build-cache").json == {"Volumes": [], "BuildCache": []}
    assert "Images" in daemon.get("/v1.41/system/df?type=volume").json
    reply = daemon.get("/system/df?type=x")
    assert (reply.status, reply.json) == (400, {"message": "unknown object type: x"})


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("POST", "/session", "/session"),
    ],
)
def test_what_is_not_there_yet_is_named(daemon: FakeDaemon, method: str, path: str, shown: str) -> None:
    reply = daemon.request(method, path, b"{}" if method == "POST" else None)
    assert (reply.status, reply.json) == (501, {"message": f"{method} {shown} is not supported yet"})
