import dataclasses
import socket

import pytest

from imagewright.api.endpoints.containers import elapsed
from imagewright.reference import Reference
from unit.api.fake_daemon import FakeDaemon


@pytest.fixture
def container(daemon: FakeDaemon) -> str:
    daemon.build("FROM scratch\nRUN exit 3")
    return daemon.engine.stopped[0].id


@pytest.mark.usefixtures("container")
def test_only_those_that_run_are_shown(daemon: FakeDaemon) -> None:
    assert daemon.get("/containers/json").json == []
    assert daemon.get('/containers/json?filters={"label":["a"]}&limit=-1').json == []
    assert daemon.get('/containers/json?filters={"exited":["3"]}').json == []


@pytest.mark.parametrize("query", ["all=1", "limit=1", 'filters={"status":["exited"]}', "all=1&size=1"])
def test_the_others_are_shown_on_request(daemon: FakeDaemon, container: str, query: str) -> None:
    (entry,) = daemon.get(f"/v1.41/containers/json?{query}").json
    assert (entry["Id"], entry["Names"], entry["Command"]) == (container, ["/gifted_lehmann"], "/bin/sh -c 'exit 3'")
    assert entry["Status"].startswith("Exited (3) ")
    assert entry["Status"].endswith(" ago")


def test_filters_select(daemon: FakeDaemon, container: str) -> None:
    assert daemon.get(f'/containers/json?all=1&filters={{"id":["{container[:5]}"]}}').json
    assert daemon.get('/containers/json?all=1&filters={"exited":["0"]}').json == []


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/containers/json?limit=x", 400, 'strconv.Atoi: parsing "x": invalid syntax'),
        ('/containers/json?filters={"foo":["x"]}', 400, "Invalid filter 'foo'"),
        ('/containers/json?filters={"since":["x"]}', 404, "No such container: x"),
        ("/containers/x/json", 404, "No such container: x"),
        ("/containers/x/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("/containers/x/logs?stdout=1", 404, "No such container: x"),
    ],
)
def test_what_cannot_be_shown(daemon: FakeDaemon, path: str, status: int, message: str) -> None:
    reply = daemon.get(path)
    assert (reply.status, reply.json) == (status, {"message": message})


def test_inspect(daemon: FakeDaemon, container: str) -> None:
    shown = daemon.get(f"/containers/{container[:12]}/json").json
    assert (shown["Id"], shown["State"]["ExitCode"], shown["Driver"]) == (container, 3, "overlay2")


def test_labels_and_sizes_are_those_of_the_image(daemon: FakeDaemon, container: str) -> None:
    image = daemon.engine.add("a:1")
    daemon.engine.stopped[0] = dataclasses.replace(daemon.engine.stopped[0], image=image)
    (entry,) = daemon.get("/containers/json?all=1&size=1").json
    assert (entry["Labels"], entry["SizeRootFs"]) == ({"n": "0"}, 1234)
    shown = daemon.get(f"/containers/{container}/json?size=1").json
    assert (shown["Config"]["Labels"], shown["SizeRootFs"]) == ({"n": "0"}, 1234)
    assert daemon.get('/containers/json?all=1&filters={"ancestor":["a:1"],"label":["n"]}').json


JSON = {"Content-Type": "application/json; charset=utf-8"}


@pytest.mark.parametrize("body", [None, b"", b"null", b'{"Hostname":"","Env":null,"Labels":{}}'])
def test_commit(daemon: FakeDaemon, container: str, body: bytes | None) -> None:
    query = f"container={container}&repo=r&tag=t&comment=m%FF&author=me&changes=ENV%20A=1&changes=CMD%20x&pause=0"
    reply = daemon.request("POST", f"/v1.41/commit?{query}", body, JSON if body else None)
    image = next(image for image, stored in daemon.engine.images.items() if stored.tags)
    assert (reply.status, reply.json) == (201, {"Id": str(image)})
    assert daemon.engine.calls == [
        ("commit", container, Reference.parse("r:t"), ("ENV A=1", "CMD x"), "m\ufffd", "me"),
    ]


@pytest.mark.parametrize(
    ("query", "body", "status", "message"),
    [
        ("", b"", 400, 'invalid name or ID supplied: ""'),
        ("container=nope", b"", 404, "No such container: nope"),
        ("container=x", b"{", 400, "unexpected end of JSON input"),
        ("container=x", b"[]", 400, "json: cannot unmarshal array into Go value of type map[string]any"),
        ("container=x&repo=BAD", b"", 400, "invalid reference format: repository name must be lowercase"),
        (f"container=x&repo=a@sha256:{'0' * 64}", b"", 400, "refusing to create a tag with a digest reference"),
        (
            "container=x",
            b'{"Env":["A=1"]}',
            501,
            "a configuration in the body of POST /commit is not supported yet: the parameter changes is",
        ),
        ("container=x", b" " * (1 << 21), 400, "the request body is too large"),
    ],
)
def test_what_cannot_be_committed(daemon: FakeDaemon, query: str, body: bytes, status: int, message: str) -> None:
    reply = daemon.request("POST", f"/commit?{query}", body, JSON)
    assert (reply.status, reply.json) == (status, {"message": message})


def test_a_body_that_is_no_json(daemon: FakeDaemon) -> None:
    reply = daemon.request("POST", "/commit?container=x", b"{}", {"Content-Type": "text/plain"})
    message = "Content-Type specified (text/plain) must be 'application/json'"
    assert (reply.status, reply.json) == (400, {"message": message})


def test_a_body_that_is_cut(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(b"POST /commit?container=x HTTP/1.1\r\nHost: d\r\nContent-Length: 5\r\n\r\n{}")
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as stream:
            assert stream.readline().startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/containers/", "/containers/?link=1"])
def test_a_container_has_a_name(daemon: FakeDaemon, path: str) -> None:
    reply = daemon.request("DELETE", path)
    assert (reply.status, reply.json) == (400, {"message": 'invalid name or ID supplied: ""'})


def test_remove(daemon: FakeDaemon, container: str) -> None:
    reply = daemon.request("DELETE", f"/v1.41/containers/{container}?v=True&link=False&force=True")
    assert (reply.status, reply.body) == (204, b"")
    assert daemon.engine.stopped == []
    reply = daemon.request("DELETE", f"/containers/{container}")
    assert (reply.status, reply.json) == (404, {"message": f"No such container: {container}"})


def test_links_are_not_removed(daemon: FakeDaemon, container: str) -> None:
    reply = daemon.request("DELETE", f"/containers/{container}?link=1")
    assert reply.status == 400
    assert reply.json == {"message": "Conflict, cannot remove the default link name of the container"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "Less than a second"),
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (120, "2 minutes"),
        (3600, "About an hour"),
        (7200, "2 hours"),
        (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"),
        (14 * 86400, "2 weeks"),
        (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)
def test_words_for_time(seconds: int, text: str) -> None:
    assert elapsed(seconds) == text
