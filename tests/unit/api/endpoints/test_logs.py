import struct

import pytest

from imagewright.engine import LogLine
from unit.api.fake_daemon import FakeDaemon
from unit.api.fake_engine import CREATED_NS

SECOND = CREATED_NS // 10**9


@pytest.fixture
def container(daemon: FakeDaemon) -> str:
    daemon.build("FROM scratch\nRUN exit 3")
    daemon.engine.printed = [
        LogLine("stdout", CREATED_NS, b"one\n"),
        LogLine("stderr", CREATED_NS + 10**9, b"bad\n"),
        LogLine("stdout", (SECOND + 2) * 10**9, b"end"),
    ]
    return daemon.engine.stopped[0].id


def frames(body: bytes) -> list[tuple[int, bytes]]:
    found = []
    while body:
        channel, size = struct.unpack(">BxxxI", body[:8])
        found.append((channel, body[8 : 8 + size]))
        body = body[8 + size :]
    return found


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("stdout=1&stderr=True&follow=1", [(1, b"one\n"), (2, b"bad\n"), (1, b"end")]),
        ("stdout=1&stderr=0", [(1, b"one\n"), (1, b"end")]),
        ("stderr=1&tail=1", []),
        ("stdout=1&stderr=1&tail=2", [(2, b"bad\n"), (1, b"end")]),
        ("stdout=1&tail=0", []),
        ("stdout=1&tail=all", [(1, b"one\n"), (1, b"end")]),
        ("stdout=1&tail=-1&details=1", [(1, b" one\n"), (1, b" end")]),
        (f"stdout=1&stderr=1&since={SECOND + 1}&until={SECOND + 1}.9", [(2, b"bad\n")]),
        ("stdout=1&since=0&until=0", [(1, b"one\n"), (1, b"end")]),
        ("stdout=1&since=-1", [(1, b"one\n"), (1, b"end")]),
        ("stdout=1&until=5", []),
        ("stdout=1&since=9999999999", []),
        (
            "stdout=1&timestamps=1&details=1",
            [(1, b"2023-11-14T22:13:20.123456789Z  one\n"), (1, b"2023-11-14T22:13:22.000000000Z  end")],
        ),
    ],
)
def test_what_was_printed(daemon: FakeDaemon, container: str, query: str, shown: list[tuple[int, bytes]]) -> None:
    reply = daemon.get(f"/v1.41/containers/{container}/logs?{query}")
    assert (reply.status, frames(reply.body)) == (200, shown)
    assert reply.headers["Content-Type"] == "application/vnd.docker.raw-stream"


def test_newer_clients_are_told_that_there_are_frames(daemon: FakeDaemon, container: str) -> None:
    reply = daemon.get(f"/v1.42/containers/{container}/logs?stdout=1")
    assert reply.headers["Content-Type"] == "application/vnd.docker.multiplexed-stream"


def test_many_lines_come_in_few_pieces(daemon: FakeDaemon, container: str) -> None:
    daemon.engine.printed = [LogLine("stdout", CREATED_NS, b"x" * 99 + b"\n")] * 5000
    reply = daemon.get(f"/containers/{container}/logs?stdout=1")
    assert len(frames(reply.body)) == 5000
    assert reply.chunks is not None
    assert len(reply.chunks) < 20


@pytest.mark.parametrize(
    ("query", "bad"), [("since=xx", "xx"), ("until=2020-01-01", "2020-01-01"), ("since=1.x", "x"), ("since=1h", "1h")]
)
def test_times_that_cannot_be_read(daemon: FakeDaemon, container: str, query: str, bad: str) -> None:
    reply = daemon.get(f"/containers/{container}/logs?stdout=1&{query}")
    assert (reply.status, reply.json) == (400, {"message": f'strconv.ParseInt: parsing "{bad}": invalid syntax'})
