import pytest

from imagewright.engine import ImageQuery
from imagewright.reference import Reference
from unit.api.fake_daemon import FakeDaemon


def test_list(daemon: FakeDaemon) -> None:
    image = daemon.engine.add("a:1", "b:2")
    (entry,) = daemon.get("/v1.41/images/json?all=1&digests=1&only_ids=0").json
    assert (entry["Id"], entry["RepoTags"]) == (str(image), ["a:1", "b:2"])
    assert daemon.engine.queries == [ImageQuery(all=True)]


def test_list_with_filters(daemon: FakeDaemon) -> None:
    assert daemon.get('/images/json?filters={"label":%20{"a":true},"reference":+{"x/*":true}}').json == []
    assert daemon.engine.queries == [ImageQuery(labels=("a",), references=("x/*",))]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("filters=%7B", "unexpected end of JSON input"),
        ('filters={"foo":["x"]}', "Invalid filter 'foo'"),
        ('filters={"dangling":["t"]}', "Invalid filter 'dangling=[t]'"),
    ],
)
def test_bad_filters(daemon: FakeDaemon, query: str, message: str) -> None:
    reply = daemon.get(f"/v1.41/images/json?{query}")
    assert (reply.status, reply.json) == (400, {"message": message})
    reply = daemon.get(f"/v1.22/images/json?{query}")
    assert (reply.status, reply.body.decode()) == (400, f"{message}\n")


def test_shared_sizes(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    assert daemon.get("/v1.42/images/json?shared-size=1").json[0]["SharedSize"] == 234
    assert daemon.get("/v1.42/images/json?shared-size=0").json[0]["SharedSize"] == -1
    assert daemon.get("/v1.41/images/json?shared-size=1").json[0]["SharedSize"] == -1


def test_there_are_no_manifests_without_a_store_for_several_platforms(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    assert daemon.get("/v1.47/images/json?manifests=1").json == daemon.get("/v1.47/images/json").json
    assert "Manifests" not in daemon.get("/v1.48/images/a:1/json?manifests=1").json


def test_a_list_that_the_client_has(daemon: FakeDaemon) -> None:
    image = daemon.engine.add("a:1")
    first = daemon.get("/images/json")
    tag = first.headers["ETag"]
    for field in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        reply = daemon.request("GET", "/images/json", headers={"If-None-Match": field})
        assert (reply.status, reply.body, reply.headers["ETag"]) == (304, b"", tag)
    assert len(daemon.engine.queries) == 1
    assert daemon.request("GET", "/images/json", headers={"If-None-Match": '"x"'}).body == first.body
    assert len(daemon.engine.queries) == 1
    for other in ("/images/json?all=1", "/images/json?shared-size=1", "/v1.50/images/json"):
        assert daemon.request("GET", other, headers={"If-None-Match": tag}).status == 200
    daemon.engine.tag(str(image), Reference.parse("b:1"))
    reply = daemon.request("GET", "/images/json", headers={"If-None-Match": tag})
    assert (reply.status, reply.json[0]["RepoTags"]) == (200, ["a:1", "b:1"])
    assert reply.headers["ETag"] != tag


@pytest.mark.parametrize("filters", ['{"until":["1h"]}', '{"unused-for":["1h"]}'])
def test_a_list_that_time_changes_has_no_tag(daemon: FakeDaemon, filters: str) -> None:
    reply = daemon.request("GET", f"/images/json?filters={filters}", headers={"If-None-Match": "*"})
    assert reply.status == 200
    assert "ETag" not in reply.headers


LINUX = "%7B%22os%22:%22linux%22,%22architecture%22:%22amd64%22%7D"
WINDOWS = "%7B%22os%22:%22windows%22,%22architecture%22:%22amd64%22%7D"


@pytest.mark.parametrize(
    ("path", "before"),
    [("images/a:1/json?platform=", "1.48"), ("images/a:1/history?platform=", "1.47")],
)
def test_platforms(daemon: FakeDaemon, path: str, before: str) -> None:
    daemon.engine.add("a:1")
    assert daemon.get(f"/v1.51/{path}{LINUX}").status == 200
    assert daemon.get(f"/v1.51/{path}").status == 200
    assert daemon.get(f"/v{before}/{path}{WINDOWS}").status == 200
    reply = daemon.get(f"/v1.51/{path}{WINDOWS}")
    found = "image with reference a:1 was found but its platform (linux/amd64)"
    message = f"{found} does not match the specified platform (windows/amd64)"
    assert (reply.status, reply.json) == (404, {"message": message})
    assert daemon.get(f"/v1.51/{path}x").status == 400


def test_manifests_and_a_platform_exclude_each_other(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    reply = daemon.get(f"/images/a:1/json?manifests=1&platform={LINUX}")
    message = "conflicting options: manifests and platform options cannot both be set"
    assert (reply.status, reply.json) == (400, {"message": message})


@pytest.mark.parametrize("name", ["a:1", "docker.io/library/a:1", "docker.io%2Flibrary%2Fa:1", "ID", "SHORT"])
def test_inspect(daemon: FakeDaemon, name: str) -> None:
    image = daemon.engine.add("a:1")
    name = {"ID": str(image), "SHORT": image.short}.get(name, name)
    reply = daemon.get(f"/v1.41/images/{name}/json")
    assert (reply.status, reply.json["Id"], reply.json["RepoTags"]) == (200, str(image), ["a:1"])
    assert reply.json["Config"]["Cmd"] == ["sh"]


@pytest.mark.parametrize(
    ("name", "status", "message"),
    [
        ("nope", 404, "no such image: nope: No such image: nope:latest"),
        ("BUSYBOX", 400, "no such image: BUSYBOX: invalid reference format: repository name must be lowercase"),
    ],
)
def test_inspect_what_is_not_there(daemon: FakeDaemon, name: str, status: int, message: str) -> None:
    reply = daemon.get(f"/images/{name}/json")
    assert (reply.status, reply.json) == (status, {"message": message})


def test_history(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    shown = daemon.get("/images/a:1/history").json
    assert [item["CreatedBy"] for item in shown] == ["/bin/sh -c echo hi", "base"]
    reply = daemon.get("/images/nope/history")
    assert (reply.status, reply.json) == (404, {"message": "No such image: nope:latest"})


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("repo=x/y&tag=4", "x/y:4"),
        ("repo=x/y:3&tag=4", "x/y:4"),
        ("repo=x/y:3", "x/y:3"),
        ("repo=docker.io%2Flibrary%2Fx&tag=&force=1", "x:latest"),
    ],
)
def test_tag(daemon: FakeDaemon, query: str, name: str) -> None:
    daemon.engine.add("a:1")
    reply = daemon.request("POST", f"/v1.41/images/a:1/tag?{query}", b'{"repo":"ignored"}')
    assert (reply.status, reply.body) == (201, b"")
    assert daemon.engine.calls == [("tag", "a:1", Reference.parse(name))]


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("", 400, "invalid reference format"),
        ("repo=BAD", 400, "invalid reference format: repository name must be lowercase"),
        ("repo=x&tag=b/d", 400, "invalid tag format"),
        ("repo=sha256", 400, "refusing to create an ambiguous tag using digest algorithm as name"),
        (f"repo=x@sha256:{'0' * 64}", 400, "refusing to create a tag with a digest reference"),
    ],
)
def test_tag_with_names_that_cannot_be(daemon: FakeDaemon, query: str, status: int, message: str) -> None:
    daemon.engine.add("a:1")
    reply = daemon.request("POST", f"/images/a:1/tag?{query}")
    assert (reply.status, reply.json) == (status, {"message": message})


def test_tag_what_is_not_there(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/images/nope/tag?repo=x")
    assert (reply.status, reply.json) == (404, {"message": "No such image: nope:latest"})


def test_remove(daemon: FakeDaemon) -> None:
    image = daemon.engine.add("reg.example/x:y")
    reply = daemon.request("DELETE", "/v1.41/images/reg.example/x:y?force=True&noprune=False")
    assert reply.status == 200
    assert reply.json == [{"Untagged": "reg.example/x:y"}, {"Deleted": str(image)}]
    assert daemon.engine.calls == [("remove", "reg.example/x:y", True, True)]


def test_remove_without_pruning(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    assert daemon.request("DELETE", "/images/a:1?noprune=1").status == 200
    assert daemon.engine.calls == [("remove", "a:1", False, False)]


def test_remove_conflicts(daemon: FakeDaemon) -> None:
    image = daemon.engine.add("a:1", "b:1")
    reply = daemon.request("DELETE", f"/images/{image}")
    assert reply.status == 409
    assert reply.json["message"].startswith(f"conflict: unable to delete {image.short} (must be forced)")


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/images/", 400, "image name cannot be blank"),
        ("/images/nope", 404, "No such image: nope:latest"),
        ("/v1.50/images/nope?platforms=x", 404, "No such image: nope:latest"),
    ],
)
def test_remove_what_cannot_be_removed(daemon: FakeDaemon, path: str, status: int, message: str) -> None:
    reply = daemon.request("DELETE", path)
    assert (reply.status, reply.json) == (status, {"message": message})


def test_remove_a_platform(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    assert daemon.request("DELETE", f"/v1.51/images/a:1?platforms={LINUX}&platforms={WINDOWS}").status == 404
    assert daemon.request("DELETE", f"/v1.51/images/a:1?platforms={LINUX}").status == 200
    assert not daemon.engine.images


def test_prune(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    dangling = daemon.engine.add()
    reply = daemon.request("POST", "/v1.41/images/prune?filters=%7B%22dangling%22:%7B%22true%22:true%7D%7D", b"")
    assert reply.json == {"ImagesDeleted": [{"Deleted": str(dangling)}], "SpaceReclaimed": 1234}
    reply = daemon.request("POST", "/v1.41/images/prune")
    assert reply.json == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    assert daemon.engine.calls == [("prune", True, (), (), None, None)] * 2


def test_prune_with_filters(daemon: FakeDaemon) -> None:
    filters = '{"dangling":["false"],"label":["a"],"label!":["b"],"until":["1700000000"],"unused-for":["168h"]}'
    assert daemon.request("POST", f"/images/prune?filters={filters}").status == 200
    assert daemon.engine.calls == [("prune", False, ("a",), ("b",), 1_700_000_000 * 10**9, 168 * 3600 * 10**9)]
    reply = daemon.request("POST", '/images/prune?filters={"foo":["x"]}')
    assert (reply.status, reply.json) == (400, {"message": "Invalid filter 'foo'"})
