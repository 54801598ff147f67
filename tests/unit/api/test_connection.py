import asyncio
import socket
import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.streams import EMPTY_PAYLOAD

from imagewright.api import connection
from imagewright.api.connection import Connection, Connections
from unit.api.fake_daemon import FakeDaemon, read_reply

PING = b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_a_client_that_closes_its_half_is_answered(daemon: FakeDaemon, version: bytes) -> None:
    with daemon.connect() as client:
        client.sendall(b"GET /_ping HTTP/" + version + b"\r\nHost: d\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        stream = client.makefile("rb")
        assert read_reply(stream).body == b"OK"
        assert stream.read() == b""


def test_a_whole_body_before_the_half_is_closed(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        body = b"x" * 300_000
        client.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nContent-Length: 300000\r\n\r\n" + body)
        reply = read_reply(client.makefile("rb"))
    assert reply.messages[-1]["stream"].startswith("Loaded image ID")


def test_nothing_follows_an_idle_client_that_closes_its_half(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_GRACE_SECONDS", 0.01)
    for sent in (b"", b"GET /_pi", PING):
        with daemon.connect() as client:
            stream = client.makefile("rb")
            client.sendall(sent)
            if sent == PING:
                assert read_reply(stream).status == 200
            client.shutdown(socket.SHUT_WR)
            assert stream.read() == b""


def test_a_client_that_leaves_an_early_answer_behind(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(b"POST /build?t=BAD HTTP/1.1\r\nHost: d\r\nContent-Length: 1000\r\n\r\nx")
        stream = client.makefile("rb")
        assert read_reply(stream).status == 400
        client.shutdown(socket.SHUT_WR)
        started = time.monotonic()
        assert stream.read() == b""
        assert time.monotonic() - started < 2


def test_headers_must_not_take_long(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_HEAD_SECONDS", 0.05)
    with daemon.connect() as client:
        client.sendall(b"GET /_ping HTTP/1.1\r\nHo")
        assert client.recv(1) == b""
    with daemon.connect() as client:
        stream = client.makefile("rb")
        for _ in range(2):
            client.sendall(PING)
            assert read_reply(stream).status == 200
            time.sleep(0.08)


def test_there_are_only_so_many_connections(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECTION_LIMIT", 1)
    with daemon.connect() as first:
        first.sendall(PING)
        assert read_reply(first.makefile("rb")).status == 200
        with daemon.connect() as second:
            reply = read_reply(second.makefile("rb"))
            assert (reply.status, reply.headers["Retry-After"]) == (503, "1")
    time.sleep(0.05)
    assert daemon.get("/_ping").status == 200


def test_what_is_no_http(daemon: FakeDaemon) -> None:
    assert daemon.exchange(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n").json == {"message": "page not found"}
    reply = daemon.exchange(b"FOO /secret HTTP/1.1\r\n\r\n")
    assert (reply.status, reply.json) == (404, {"message": "page not found"})
    assert daemon.exchange(b"GET / HTTP/1.1\r\nsecret\r\n\r\n").json == {"message": "bad request"}


def test_what_is_too_long_is_heard_out_and_not_quoted(daemon: FakeDaemon) -> None:
    reply = daemon.exchange(b"GET /" + b"x" * (6 << 20) + b" HTTP/1.1\r\n\r\n")
    assert (reply.status, reply.json) == (431, {"message": "the request line or a header field is too long"})
    assert daemon.get("/images/json?x=" + "y" * (1 << 20)).status == 200


def test_long_request_lines(daemon: FakeDaemon) -> None:
    assert daemon.get("/images/json?x=" + "y" * 60_000).status == 200
    assert daemon.request("GET", "/images/json", headers={"X-Registry-Config": "y" * 60_000}).status == 200


class Inner(asyncio.Protocol):
    """What is behind a connection, reduced to telling what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def connection_made(self, _transport: asyncio.BaseTransport) -> None:
        self.told.append("made")

    def connection_lost(self, _exc: Exception | None) -> None:
        self.told.append("lost")

    def data_received(self, data: bytes) -> None:
        self.told.append(data.decode())

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.told.append(bytes(data).decode())

    def close(self) -> None:
        self.told.append("close")

    def abort(self) -> None:
        self.told.append("abort")


def pair(*, count: int = 0) -> tuple[Connection, Inner, Transport]:
    inner, transport = Inner(), Transport()
    server: Any = lambda: inner  # noqa: E731 - all that is used of a server
    connections = Connections(server)
    for _ in range(count):
        connections.enter()
    made = connections()
    made.connection_made(transport)
    return made, inner, transport


def test_everything_is_passed_on() -> None:
    async def main() -> None:
        connection, inner, transport = pair()
        connection.data_received(b"data")
        connection.pause_writing()
        connection.resume_writing()
        connection.abort()
        connection.connection_lost(None)
        connection.abort()
        assert inner.told == ["made", "data", "pause", "resume", "lost"]
        assert transport.told == ["abort"]
        assert connection.gone

    asyncio.run(main())


def test_nothing_is_passed_on_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_CONNECTION_LIMIT", 1)
    refused, inner, transport = pair(count=1)
    refused.data_received(b"data")
    refused.pause_writing()
    refused.resume_writing()
    assert not refused.eof_received()
    refused.connection_lost(None)
    assert inner.told == []
    assert transport.told[0].startswith("HTTP/1.1 503 ")
    assert transport.told[1:] == ["close"]


def test_a_clock_that_runs_out_late_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_GRACE_SECONDS", 0)

    async def main() -> None:
        late, _, transport = pair()
        late.data_received(b"GET")
        assert late.eof_received()
        late.connection_lost(None)
        await asyncio.sleep(0.01)
        late._too_slow()
        assert transport.told == []
        with late.on_gone(lambda: transport.told.append("gone")):
            assert transport.told == ["gone"]

    asyncio.run(main())


def test_a_request_that_is_served_is_not_too_slow() -> None:
    request: Any = SimpleNamespace(content=EMPTY_PAYLOAD)

    async def main() -> None:
        busy, _, transport = pair()
        with busy.serving(request):
            busy._too_slow()
            busy.data_received(b"more")
            busy._close_if_idle()
        assert transport.told == []

    asyncio.run(main())
