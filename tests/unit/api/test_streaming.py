import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp.web import RequestPayloadError

from imagewright.api import streaming
from imagewright.api.pipes import Inlet, Outlet
from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from unit.api.fake_daemon import FakeDaemon, context, read_reply
from unit.api.fake_engine import FakeEngine

WAITING = context("FROM scratch\nRUN wait")


def post(path: str, body: bytes, *, length: int | None = None, more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: d\r\nContent-Length: {len(body) if length is None else length}\r\n{more}\r\n"
    return head.encode() + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces)


def wait_for(condition: Callable[[], object], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def test_the_connection_is_kept(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        stream = client.makefile("rb")
        for path in ("/build", "/build?q=1", "/build?t=BAD", "/images/json"):
            client.sendall(
                post(path, context("FROM scratch")) if "build" in path else b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n"
            )
            assert read_reply(stream).status in {200, 400}


def test_a_client_of_http_1_0_gets_no_chunks(daemon: FakeDaemon) -> None:
    body = context("FROM scratch")
    reply = daemon.exchange(f"POST /build HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    assert (reply.status, reply.chunks) == (200, None)
    assert reply.messages[0] == {"stream": "Step 1/1 : FROM scratch"}
    assert "Transfer-Encoding" not in reply.headers


def test_a_client_that_asks_may_continue(daemon: FakeDaemon) -> None:
    body = context("FROM scratch")
    with daemon.connect() as client:
        stream = client.makefile("rb")
        client.sendall(post("/build", b"", length=len(body), more="Expect: 100-continue\r\n"))
        assert read_reply(stream).status == 100
        client.sendall(body)
        assert read_reply(stream).status == 200


def test_a_chunked_body_in_pieces(daemon: FakeDaemon) -> None:
    body = context("FROM scratch")
    with daemon.connect() as client:
        client.sendall(b"POST /build HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 1000):
            client.sendall(chunked(body[start : start + 1000]))
        time.sleep(0.02)
        assert not daemon.engine.contexts
        client.sendall(b"0\r\n\r\n")
        assert read_reply(client.makefile("rb")).status == 200
    assert daemon.engine.contexts == [body]


def test_a_large_body(daemon: FakeDaemon) -> None:
    body = context("FROM scratch", large=b"x" * (20 << 20))
    assert daemon.request("POST", "/build", body).status == 200
    assert daemon.engine.contexts == [body]


def test_an_error_comes_before_the_body_has(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        stream = client.makefile("rb")
        client.sendall(post("/build?t=BAD", b"x", length=100_000_000))
        assert read_reply(stream).status == 400


def test_the_rest_of_a_body_is_taken_after_an_early_answer(daemon: FakeDaemon) -> None:
    body = b"x" * (4 << 20)
    with daemon.connect() as client:
        stream = client.makefile("rb")
        client.sendall(post("/build?t=BAD", body))
        assert read_reply(stream).status == 400
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        assert read_reply(stream).status == 200


@pytest.mark.parametrize("framing", [b"zz\r\n", b"5\r\nabc"])
def test_a_body_that_is_badly_framed(daemon: FakeDaemon, framing: bytes) -> None:
    with daemon.connect() as client:
        client.sendall(b"POST /build HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n" + framing)
        client.shutdown(socket.SHUT_WR)
        reply = read_reply(client.makefile("rb"))
    assert reply.status in {400, 499}
    assert wait_for(lambda: not daemon.engine.requests or daemon.engine.ended.is_set())


def test_a_body_that_is_badly_framed_later(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    # aiohttp's compiled parser keeps it to itself, so that the body seems to stop.
    monkeypatch.setattr(streaming, "_IDLE_SECONDS", 0.05)
    with daemon.connect() as client:
        client.sendall(b"POST /build HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"abc"))
        assert wait_for(lambda: daemon.engine.requests)
        client.sendall(b"zz\r\n")
        reply = read_reply(client.makefile("rb"))
    assert (reply.status, reply.json) == (400, {"message": "the request body stopped coming"})


def test_a_body_that_cannot_be_read() -> None:
    class Content:
        async def readany(self) -> bytes:
            raise RequestPayloadError("bad chunk")

    async def main() -> None:
        inlet, cancellation = Inlet(), Cancellation()
        call: Any = SimpleNamespace(request=SimpleNamespace(content=Content()))
        await streaming._pump(call, streaming.Job(inlet, Outlet(cancellation), cancellation))
        with pytest.raises(InvalidInput, match="unexpected EOF"):
            inlet.read(1)

    asyncio.run(main())


def test_messages_are_sent_at_once(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build", WAITING))
        stream = client.makefile("rb")
        while line := stream.readline():
            if b"Running in" in line:
                break
        assert daemon.engine.waiting.wait(5)
        assert not daemon.engine.ended.is_set()


@pytest.mark.parametrize("hard", [False, True])
def test_a_client_that_leaves_cancels_the_build(daemon: FakeDaemon, hard: bool) -> None:
    client = daemon.connect()
    client.sendall(post("/build?t=a", WAITING))
    assert daemon.engine.waiting.wait(5)
    if hard:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left = time.monotonic()
    client.close()
    assert daemon.engine.ended.wait(5)
    assert time.monotonic() - left < 0.5
    assert daemon.engine.cancelled.is_set()
    assert not daemon.engine.images


def test_half_a_client_that_leaves_is_told(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build?t=a", WAITING))
        assert daemon.engine.waiting.wait(5)
        client.shutdown(socket.SHUT_WR)
        reply = read_reply(client.makefile("rb"))
    assert reply.messages[-2:] == [
        {"stream": "Build cancelled\n"},
        {"errorDetail": {"message": "Build cancelled"}, "error": "Build cancelled"},
    ]
    assert not daemon.engine.images


def test_a_client_that_leaves_while_it_sends(daemon: FakeDaemon) -> None:
    client = daemon.connect()
    client.sendall(post("/build", WAITING[:1000], length=len(WAITING)))
    assert wait_for(lambda: daemon.engine.requests)
    client.close()
    assert daemon.engine.ended.wait(5)
    assert not daemon.engine.contexts


def test_half_a_client_that_leaves_while_it_sends(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build", WAITING[:1000], length=len(WAITING)))
        assert wait_for(lambda: daemon.engine.requests)
        client.shutdown(socket.SHUT_WR)
        reply = read_reply(client.makefile("rb"))
    assert (reply.status, reply.json) == (499, {"message": "Build cancelled"})
    assert daemon.engine.ended.wait(5)


def test_a_client_that_has_left_before_its_build_starts(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build", WAITING))
        client.shutdown(socket.SHUT_WR)
        assert client.makefile("rb").readline()
    assert wait_for(lambda: not daemon.engine.requests or daemon.engine.ended.is_set())


def test_a_slow_reader_holds_its_own_build_back(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build", context("FROM scratch\nRUN flood 300")))
        # Some MiB are under way before the reader is waited for, most of them in the kernel.
        assert wait_for(lambda: daemon.engine.flooded > 60)
        time.sleep(0.2)
        held = daemon.engine.flooded
        time.sleep(0.1)
        assert daemon.engine.flooded == held < 200
        assert daemon.get("/_ping").status == 200
        reply = read_reply(client.makefile("rb"))
    assert len(reply.streamed) > 300 * 65536
    assert "Successfully built" in reply.streamed


def test_a_slow_reader_that_leaves_sets_its_build_free(daemon: FakeDaemon) -> None:
    client = daemon.connect()
    client.sendall(post("/build", context("FROM scratch\nRUN flood 1000")))
    assert wait_for(lambda: daemon.engine.flooded > 10)
    time.sleep(0.05)
    client.close()
    assert daemon.engine.ended.wait(5)


def test_a_slow_reader_of_an_archive(daemon: FakeDaemon) -> None:
    daemon.engine.add("a:1")
    daemon.engine.flooded = 10_000
    client = daemon.connect()
    client.sendall(b"GET /images/a:1/get HTTP/1.1\r\nHost: d\r\n\r\n")
    assert client.recv(100)
    client.close()


def test_half_a_client_that_reads_nothing_is_let_go(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_FAREWELL_SECONDS", 0.05)
    with daemon.connect() as client:
        client.sendall(post("/build", context("FROM scratch\nRUN flood 1000")))
        assert wait_for(lambda: daemon.engine.flooded > 10)
        client.shutdown(socket.SHUT_WR)
        assert daemon.engine.ended.wait(5)
        time.sleep(0.1)
        with pytest.raises((ValueError, IndexError, AssertionError, ConnectionError)):
            read_reply(client.makefile("rb"))


def test_a_body_that_stops_coming(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_IDLE_SECONDS", 0.05)
    with daemon.connect() as client:
        client.sendall(post("/build", b"x", length=100))
        reply = read_reply(client.makefile("rb"))
    assert (reply.status, reply.json) == (400, {"message": "the request body stopped coming"})


def test_an_archive_that_fails_after_it_began_is_cut(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    original = FakeEngine.save

    def save(self: FakeEngine, *args: object, **kwargs: object) -> None:
        original(self, *args, **kwargs)  # type: ignore[arg-type]
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(FakeEngine, "save", save)
    daemon.engine.add("a:1")
    daemon.engine.flooded = 5
    with daemon.connect() as client:
        client.sendall(b"GET /images/a:1/get HTTP/1.1\r\nHost: d\r\n\r\n")
        with pytest.raises((ValueError, AssertionError, ConnectionError)):
            read_reply(client.makefile("rb"))


def test_requests_after_another_in_one_go(daemon: FakeDaemon) -> None:
    with daemon.connect() as client:
        client.sendall(post("/build", context("FROM scratch")) + b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n")
        stream = client.makefile("rb")
        assert json.loads(read_reply(stream).body.splitlines()[0])
        assert read_reply(stream).body == b"OK"
