import pytest

from imagewright.api.endpoints.containers import elapsed
from unit.api.fake_daemon import FakeDaemon


@pytest.fixture
def container(daemon: FakeDaemon) -> str:
    daemon.build("FROM scratch\nRUN exit 3")
    return daemon.engine.stopped[0].id


@pytest.mark.usefixtures("container")
def test_only_those_that_run_are_shown(daemon: FakeDaemon) -> None:
    assert daemon.get("/containers/json").json == []
    assert daemon.get('/containers/json?filters={"label":["a"]}&limit=-1').json == []


@pytest.mark.parametrize("query", ["all=1", "limit=1", 'filters={"status":["exited"]}', 'filters={"exited":["3"]}'])
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
        ("/containers/json?size=1", 501, "the parameter size is not supported yet"),
        ('/containers/json?filters={"foo":["x"]}', 400, "Invalid filter 'foo'"),
        ('/containers/json?filters={"volume":["x"]}', 501, "the container filter volume is not supported yet"),
        ("/containers/x/json", 404, "No such container: x"),
        ("/containers/x/json?size=1", 501, "the parameter size is not supported yet"),
    ],
)
def test_what_cannot_be_shown(daemon: FakeDaemon, path: str, status: int, message: str) -> None:
    reply = daemon.get(path)
    assert (reply.status, reply.json) == (status, {"message": message})


def test_inspect(daemon: FakeDaemon, container: str) -> None:
    shown = daemon.get(f"/containers/{container[:12]}/json").json
    assert (shown["Id"], shown["State"]["ExitCode"], shown["Driver"]) == (container, 3, "overlay2")


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
