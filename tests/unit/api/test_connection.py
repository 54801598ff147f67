import socket
import time

import pytest

from imagewright.api import connection
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
    assert daemon.exchange(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n").status == 400
    assert daemon.exchange(b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n").status == 400


def test_long_request_lines(daemon: FakeDaemon) -> None:
    assert daemon.get("/images/json?x=" + "y" * 60_000).status == 200
    assert daemon.request("GET", "/images/json", headers={"X-Registry-Config": "y" * 60_000}).status == 200
