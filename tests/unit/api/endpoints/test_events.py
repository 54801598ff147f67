import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
import structlog

from imagewright.engine import Happening
from unit.api.fake_daemon import FakeDaemon
from unit.api.fake_engine import CREATED_NS


def tagged(name: str, seconds: float = 0) -> Happening:
    time_ns = CREATED_NS + int(seconds * 10**9)
    return Happening(type="image", action="tag", id="sha256:1", attributes={"name": name}, time_ns=time_ns)


def names(body: bytes) -> list[str]:
    return [json.loads(line)["Actor"]["Attributes"]["name"] for line in body.splitlines()]


SECOND = CREATED_NS // 10**9


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (f"since={SECOND}&until={SECOND + 5}", ["a:1", "b:1", "c:1"]),
        (f"until={SECOND + 5}", ["a:1", "b:1", "c:1"]),
        (f"since={SECOND + 1}.5&until={SECOND + 5}.000000001", ["c:1"]),
        ("since=2023-11-14T22:13:21Z&until=2023-11-14T22:13:22Z", ["b:1"]),
        ("since=200000h&until=1h", ["a:1", "b:1", "c:1"]),
        (f'until={SECOND + 5}&filters={{"image":["b"]}}', ["b:1"]),
        (f'until={SECOND + 5}&filters={{"type":{{"container":true}}}}', []),
        ("until=1", []),
    ],
)
def test_what_happened(daemon: FakeDaemon, query: str, shown: list[str]) -> None:
    for number, name in enumerate(("a:1", "b:1", "c:1")):
        daemon.engine.tell(tagged(name, number))
    reply = daemon.get(f"/v1.41/events?{query}")
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert names(reply.body) == shown


def test_one_line_for_each(daemon: FakeDaemon) -> None:
    daemon.engine.tell(tagged("a:1"))
    reply = daemon.get(f"/events?until={SECOND + 1}")
    assert reply.body == (
        b'{"status":"tag","id":"sha256:1","Type":"image","Action":"tag","Actor":{"ID":"sha256:1",'
        b'"Attributes":{"name":"a:1"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}\n'
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("since=abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("until=1.x", 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("since=2&until=1", "`since` time (2) cannot be after `until` time (1)"),
        ("filters={", "unexpected end of JSON input"),
    ],
)
def test_bad_parameters(daemon: FakeDaemon, query: str, message: str) -> None:
    reply = daemon.get(f"/events?{query}")
    assert (reply.status, reply.json) == (400, {"message": message})


@contextlib.contextmanager
def listening(daemon: FakeDaemon, query: str = "") -> Iterator[socket.socket]:
    with daemon.connect() as client:
        client.sendall(f"GET /events?{query} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        yield client


def test_what_happens_is_told_at_once(daemon: FakeDaemon) -> None:
    daemon.engine.tell(tagged("past:1"))
    with listening(daemon) as client:
        # Who has the headers misses nothing.
        daemon.engine.tell(tagged("a:1"))
        assert b'"name":"a:1"' in client.recv(4096)
        daemon.engine.tell(tagged("b:1"))
        assert b'"name":"b:1"' in client.recv(4096)
        assert not daemon.engine.ended.is_set()


def test_the_stream_ends_at_its_time(daemon: FakeDaemon) -> None:
    now = time.time()
    with listening(daemon, f"since={now}&until={now + 0.2:.3f}") as client:
        assert client.recv(4096) == b"0\r\n\r\n"
    assert time.time() - now >= 0.2


def test_a_client_that_leaves_is_not_waited_for(daemon: FakeDaemon) -> None:
    with listening(daemon):
        pass
    assert daemon.engine.ended.wait(5)


def test_a_client_that_says_no_more_has_left(daemon: FakeDaemon) -> None:
    with listening(daemon) as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4096) == b"0\r\n\r\n"


def test_an_engine_that_cannot_watch(daemon: FakeDaemon) -> None:
    def fail(name: str) -> None:
        if name == "watch":
            raise KeyError(name)

    daemon.engine.before = fail
    with structlog.testing.capture_logs():
        assert daemon.get("/events").status == 500


def test_there_may_be_many_listeners_but_not_any_number(daemon: FakeDaemon) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(128):
            stack.enter_context(listening(daemon))
        reply = daemon.get("/events")
        assert (reply.status, reply.json) == (503, {"message": "too many clients watch events"})
        assert daemon.get("/_ping").status == 200
