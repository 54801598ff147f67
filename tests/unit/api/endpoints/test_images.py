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


@pytest.mark.parametrize(
    ("path", "name", "before"),
    [
        ("images/json?shared-size=1", "shared-size", "1.41"),
        ("images/json?manifests=1", "manifests", "1.46"),
        ("images/a:1/json?manifests=1", "manifests", "1.47"),
        ("images/a:1/json?platform=%7B%7D", "platform", "1.48"),
        ("images/a:1/history?platform=%7B%7D", "platform", "1.47"),
    ],
)
def test_parameters_that_are_not_there_yet(daemon: FakeDaemon, path: str, name: str, before: str) -> None:
    daemon.engine.add("a:1")
    reply = daemon.get(f"/v1.51/{path}")
    assert (reply.status, reply.json) == (501, {"message": f"the parameter {name} is not supported yet"})
    assert daemon.get(f"/v{before}/{path}").status == 200


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
        (f"repo=x@sha256:{'0' * 64}&tag=1", 400, "refusing to create a tag with a digest reference"),
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
        ("/v1.50/images/nope?platforms=x", 501, "the parameter platforms is not supported yet"),
    ],
)
def test_remove_what_cannot_be_removed(daemon: FakeDaemon, path: str, status: int, message: str) -> None:
    reply = daemon.request("DELETE", path)
    assert (reply.status, reply.json) == (status, {"message": message})
