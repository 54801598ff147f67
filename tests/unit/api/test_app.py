import asyncio
import time

import pytest
import structlog
from aiohttp import web

from imagewright.api import make_app
from imagewright.errors import Unavailable
from unit.api.fake_daemon import FakeDaemon
from unit.api.fake_engine import FakeEngine


def test_routed_answers_say_who_speaks(daemon: FakeDaemon) -> None:
    headers = daemon.get("/v1.24/version").headers
    assert headers["Api-Version"] == "1.51"
    assert headers["Docker-Experimental"] == "false"
    assert headers["Ostype"] == "linux"
    assert headers["Server"].startswith("imagewright/")
    assert headers["Server"].endswith("(linux)")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("GET", "/vfoo/_ping"), ("GET", "/build"), ("POST", "/images/json")],
)
def test_unknown_pages(daemon: FakeDaemon, method: str, path: str) -> None:
    reply = daemon.request(method, path)
    assert (reply.status, reply.body) == (404, b'{"message":"page not found"}\n')
    assert reply.headers["Content-Type"] == "application/json"
    assert "Api-Version" not in reply.headers


@pytest.mark.parametrize("version", ["v1.22", "v1.11", "v1", "v."])
def test_unknown_pages_of_old_versions_are_plain_text(daemon: FakeDaemon, version: str) -> None:
    reply = daemon.get(f"/{version}/nope")
    assert (reply.status, reply.body, reply.headers["X-Content-Type-Options"]) == (404, b"page not found\n", "nosniff")


def test_a_version_that_is_too_new(daemon: FakeDaemon) -> None:
    reply = daemon.get("/v1.52/version")
    assert reply.status == 400
    assert reply.json == {"message": "client version 1.52 is too new. Maximum supported API version is 1.51"}
    assert reply.headers["Api-Version"] == "1.51"
    assert "Docker-Experimental" not in reply.headers


@pytest.mark.parametrize("version", ["1.20", "1"])
def test_a_version_that_is_too_old(daemon: FakeDaemon, version: str) -> None:
    reply = daemon.get(f"/v{version}/version")
    text = (
        f"client version {version} is too old. Minimum supported API version is 1.21, "
        "please upgrade your client to a newer version\n"
    )
    assert (reply.status, reply.body.decode()) == (400, text)
    assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("version", ["1.21", "1.22", "1.23"])
def test_errors_for_old_clients_are_text(daemon: FakeDaemon, version: str) -> None:
    reply = daemon.get(f"/v{version}/images/nope/history")
    assert (reply.status, reply.body) == (404, b"No such image: nope:latest\n")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("prefix", ["", "/v1.24", "/v1.51", "/v1.41.0"])
def test_errors_for_others_are_json(daemon: FakeDaemon, prefix: str) -> None:
    reply = daemon.get(f"{prefix}/images/nope/history")
    assert (reply.status, reply.json) == (404, {"message": "No such image: nope:latest"})


def test_every_version_is_spoken(daemon: FakeDaemon) -> None:
    for minor in range(21, 52):
        assert daemon.get(f"/v1.{minor}/images/json").body == b"[]\n"


def test_options_are_answered_everywhere(daemon: FakeDaemon) -> None:
    reply = daemon.request("OPTIONS", "/any/thing")
    assert (reply.status, reply.body, reply.headers["Content-Length"]) == (200, b"", "0")
    assert daemon.request("OPTIONS", "/v1.99/x").status == 400


def test_paths_are_cleaned(daemon: FakeDaemon) -> None:
    reply = daemon.get("/images//json?all=1")
    assert (reply.status, reply.headers["Location"], reply.body) == (301, "/images/json?all=1", b"")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/images/json?x=%zz", 'invalid URL escape "%zz"'),
        ("/images/json?a;b=1", "invalid semicolon separator in query"),
        ("/images/%zz/json", 'invalid URL escape "%zz"'),
    ],
)
def test_bad_escapes(daemon: FakeDaemon, path: str, message: str) -> None:
    reply = daemon.get(path)
    assert (reply.status, reply.json) == (400, {"message": message})


def test_builds_pass_over_bad_escapes(daemon: FakeDaemon) -> None:
    assert daemon.build("FROM scratch", "x=%zz&a;b&t=a:1").status == 200


def test_what_is_unexpected_is_logged_and_not_told(daemon: FakeDaemon) -> None:
    def fail(_: str) -> None:
        raise KeyError("/var/lib/secret")

    daemon.engine.before = fail
    with structlog.testing.capture_logs() as logs:
        reply = daemon.get("/images/json?filters=%7B%7D")
    assert (reply.status, reply.json) == (500, {"message": "internal error"})
    _wait_for(lambda: len(logs) == 2)
    assert "KeyError" in logs[0]["trace"]
    assert logs[1]["status"] == 500


def test_the_client_is_told_when_to_come_again(daemon: FakeDaemon) -> None:
    def fail(_: str) -> None:
        raise Unavailable("full", retry_after=3)

    daemon.engine.before = fail
    reply = daemon.get("/images/json")
    assert (reply.status, reply.headers["Retry-After"]) == (503, "3")


def test_one_line_of_log_without_values(daemon: FakeDaemon) -> None:
    with structlog.testing.capture_logs() as logs:
        daemon.build("FROM scratch", "buildargs=%7B%22TOKEN%22:%22secret%22%7D")
        _wait_for(lambda: bool(logs))
    (entry,) = logs
    assert (entry["event"], entry["method"], entry["path"], entry["status"]) == ("request", "POST", "/build", 200)
    assert "secret" not in str(entry)


def _wait_for(condition: object) -> None:
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.002)


def test_another_server_can_run_the_application(engine: FakeEngine) -> None:
    async def main() -> None:
        runner = web.AppRunner(make_app(engine))
        await runner.setup()
        await runner.cleanup()

    asyncio.run(main())
