"""Every build that the protocol has a word for, against a real engine's classic builder."""

import contextlib
import json
import os
import socket
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from compat.build_differential.cases import SUBJECTS, read_cases
from compat.build_differential.comparison import compare
from compat.build_differential.served import serving
from support.bases import busybox_base
from support.builder import context
from support.daemon import daemon
from support.differential import Pair, Side, read_known, review
from support.dockerd import dockerd
from support.unixhttp import request

pytestmark = pytest.mark.compat

KNOWN = os.path.join(os.path.dirname(__file__), "build_differential", "differences.toml")


@dataclass(frozen=True)
class World:
    """Both engines, and the address of what builds fetch."""

    pair: Pair
    address: str


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    directory = tmp_path_factory.mktemp("pair")
    with (
        dockerd(str(directory)) as engine,
        daemon(str(directory)) as ours,
        serving(str(directory / "served"), engine.pid) as address,
    ):
        version = json.loads(request(engine.socket, "GET", "/version")[1])["ApiVersion"]
        if version != "1.41":
            # The list of differences is that of one engine.
            reason = f"compares with an engine of API 1.41; this machine's has {version}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI=true", pytrace=False)
            pytest.skip(reason)
        pair = Pair(Side(engine.socket), Side(ours.socket))
        base = busybox_base()
        for side in pair.sides:
            status, body = request(side.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", base)
            assert status == 200, body
        try:
            yield World(pair, address)
        finally:
            for side in pair.sides:
                side.close()


def test_the_lists_are_in_order() -> None:
    with open(KNOWN, "rb") as file:
        entries = tomllib.load(file)["difference"]
    assert not [entry for entry in entries if not entry.get("reason", "").endswith(".")]
    assert {name for entry in entries for name in entry.get("groups", "").split()} <= {*SUBJECTS}
    names = [case.name for subject in SUBJECTS for case in read_cases(subject)]
    assert len(names) == len(set(names)), "two cases have one name"
    assert len(names) >= 120


@pytest.mark.parametrize("subject", SUBJECTS)
def test_same_build(world: World, subject: str) -> None:
    found = [difference for case in read_cases(subject, world.address) for difference in compare(world.pair, case)]
    report = review(found, read_known(KNOWN, subject))
    assert not report, report


def _sent(socket_path: str, data: bytes) -> bytes:
    """Return all that comes back for `data`, until the other side closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(60)
        connection.connect(socket_path)
        connection.sendall(data)
        answer = b""
        # The engine closes without having read the archive's last blocks.
        with contextlib.suppress(ConnectionResetError):
            while piece := connection.recv(1 << 16):
                answer += piece
        return answer


def test_an_upload_in_chunks_of_any_size_and_what_follows_on_its_connection(world: World) -> None:
    body = context("FROM base:1\nLABEL chunked=yes\n")
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(piece), piece)
        for piece in (body[start : start + 333] for start in range(0, len(body), 333))
    )
    head = b"POST /v1.41/build HTTP/1.1\r\nHost: docker\r\nTransfer-Encoding: chunked\r\n\r\n"
    then = b"GET /v1.41/_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n"
    for side in world.pair.sides:
        answer = _sent(side.socket, head + chunks + b"0\r\n\r\n" + then)
        assert b"Successfully built" in answer
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2
        assert answer.endswith(b"\r\n\r\nOK")


def test_a_client_of_the_first_version_of_http(world: World) -> None:
    body = context("FROM base:1\nLABEL first=http\n")
    for side in world.pair.sides:
        answer = _sent(side.socket, b"POST /v1.41/build HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        head, _, messages = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200 OK\r\n")
        assert b"transfer-encoding" not in head.lower()
        assert messages.startswith(b'{"stream":"Step 1/2 : FROM base:1"}\r\n{"stream":"\\n"}\r\n')
