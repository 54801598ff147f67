"""What a build is told of limits that cannot be: the last message, and when it comes, by both engines."""

import json
import re
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from support.bases import busybox_base
from support.builder import context
from support.daemon import daemon
from support.dockerd import dockerd
from support.unixhttp import request

pytestmark = pytest.mark.compat

DOCKERFILE = "FROM busybox\nRUN ulimit -n; ulimit -Hn\n"
QUERIES = (
    *("memory=1", "memory=-1", "memory=6291456", "memory=33554432&memswap=-1", "memory=33554432&memswap=-2"),
    *("memory=33554432&memswap=1", "memswap=-1", "memswap=100000000"),
    *("cpushares=1", "cpushares=-1", "cpushares=300000", "cpuperiod=1", "cpuperiod=1000001", "cpuperiod=1000"),
    *("cpuquota=1", "cpuquota=-5", "cpuquota=1000", "cpuquota=50000&cpuperiod=100000"),
    *("cpusetcpus=99", "cpusetcpus=x", "cpusetcpus=0", "cpusetcpus=0-", "cpusetcpus=1-0", "cpusetcpus=0,0-1"),
    *("cpusetcpus=0,,1", "cpusetcpus=99999999999", "cpusetcpus=%200", "cpusetmems=9", "cpusetmems=x"),
    *("shmsize=-1", "shmsize=1", "shmsize=9223372036854775807"),
    *("extrahosts=nocolon", "extrahosts=a:", "extrahosts=:1.2.3.4", "extrahosts=a:b", "extrahosts=a:[::1]"),
    *("extrahosts=a:1.2.3.4&extrahosts=b:::1", "extrahosts=", "extrahosts=a+b:1.2.3.4"),
)
ULIMITS = (
    *('[{"Name":"nofile","Soft":200,"Hard":100}]', '[{"Name":"zzz","Soft":1,"Hard":2}]', "[{}]", "{}", '"x"', "3"),
    *('[{"Name":"nofile","Soft":-1,"Hard":-1}]', '[{"Name":"nofile","Soft":"a"}]', '[{"Name":3}]', "[3]"),
    *('[{"Name":"nofile","Soft":1.5}]', '[{"Name":"nofile","Soft":1e30}]', '[{"Name":"nofile","Hard":100}]'),
    *('[{"name":"NOFILE","soft":100,"hard":200}]', '[{"Name":"nofile","Soft":100}]'),
)


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The engine's socket and ours."""
    with (
        dockerd(str(tmp_path_factory.mktemp("dockerd"))) as theirs,
        daemon(str(tmp_path_factory.mktemp("ours"))) as ours,
    ):
        for socket in (theirs.socket, ours.socket):
            assert request(socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield theirs.socket, ours.socket


def answer(socket: str, query: str) -> tuple[int, str, bool, str]:
    """Return the status, the error if there is one, whether a container was made, and what it wrote."""
    target = f"/v1.41/build?nocache=1&forcerm=1&{query}"
    status, body = request(socket, "POST", target, context(DOCKERFILE))
    messages = [json.loads(line) for line in body.splitlines() if line]
    streamed = [str(message.get("stream", "")) for message in messages]
    error = str(messages[-1].get("message") or messages[-1].get("error") or "")
    ran = any(text.startswith(" ---> Running in") for text in streamed)
    return status, error, ran, "".join(text for text in streamed if re.fullmatch(r"(\d+\n)+", text))


@pytest.mark.parametrize("query", [*QUERIES, *(f"ulimits={quote(text)}" for text in ULIMITS)])
def test_both_say_the_same(sockets: tuple[str, str], query: str) -> None:
    theirs, ours = (answer(socket, query) for socket in sockets)
    # Without a limit of its own, a RUN has the one of whoever started the engine.
    assert theirs[:3] == ours[:3]
    if "ulimits" in query:
        assert theirs == ours
