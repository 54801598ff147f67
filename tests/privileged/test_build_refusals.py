"""Parameters of POST /build that cannot be, sent to a real daemon: refused by name, at once, before anything runs."""

import http.client
import json
import resource
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from support.bases import busybox_base
from support.builder import context
from support.daemon import Daemon, daemon
from support.engines import leftovers
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged

# Runs, if anything does.
BODY = context("FROM busybox\nRUN echo it ran\n")
DEEP = "[" * 30_000
_HEADER_LIMIT = 64 << 10


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200
        yield running


def refusal(running: Daemon, query: str, version: str = "") -> str:
    """Return what a build with `query` is told instead of being done."""
    status, body = request(running.socket, "POST", f"{version}/build?{query}", BODY, timeout=20)
    assert 400 <= status < 500, body
    return str(json.loads(body)["message"])


# What errors about each JSON parameter begin with, and a value with a wrong type inside.
JSON = {
    "buildargs": ("error reading build args: ", '{"A":1}'),
    "labels": ("error reading labels: ", '{"A":1}'),
    "ulimits": ("error reading ulimit settings: ", '[{"Name":1}]'),
    "cachefrom": ("cachefrom: ", "[1]"),
    "outputs": ("outputs: ", '[{"Type":1}]'),
    "contexts": ("contexts: ", '{"a":1}'),
}


@pytest.mark.parametrize("name", JSON)
@pytest.mark.parametrize("version", ["", "/v1.40"])
def test_json_that_cannot_be(running: Daemon, name: str, version: str) -> None:
    prefix, wrong = JSON[name]
    for value in ("x", "{", "[", '"text"', "3", "true", wrong, DEEP, f"{DEEP}{']' * 30_000}", '{"a":' * 10_000):
        message = refusal(running, f"{name}={quote(value, safe='[]{}:,')}", version)
        assert message.startswith(prefix), message
        assert len(message) < 300


@pytest.mark.parametrize("name", JSON)
def test_null_is_nothing(running: Daemon, name: str) -> None:
    status, body = request(running.socket, "POST", f"/build?{name}=null", context("FROM busybox\n"))
    assert status == 200, body


@pytest.mark.parametrize("name", JSON)
def test_the_longest_that_can_be(running: Daemon, name: str) -> None:
    assert refusal(running, f"{name}={'[' * (_HEADER_LIMIT - 1000)}").startswith(JSON[name][0])


@pytest.mark.parametrize("name", ["memory", "memswap", "cpushares", "cpuperiod", "cpuquota", "shmsize"])
def test_numbers_that_are_none(running: Daemon, name: str) -> None:
    for value in ("abc", "1.5", "1e9", "64m", "0x10", str(10**30), str(-(10**30)), "9" * 20_000, "%00", "%205"):
        message = refusal(running, f"{name}={value}")
        assert message.startswith(f"{name}: strconv.ParseInt: parsing "), message
        assert len(message) < 300


# What is a number, and no limit: refused in the stream, as the engine does it, before the step runs.
LIMITS = {
    "memory=-1": "Minimum memory limit allowed is 6MB",
    "memory=1": "Minimum memory limit allowed is 6MB",
    "memory=9223372036854775807&memswap=1": "Minimum memoryswap limit should be larger than memory limit, see usage",
    "memswap=1": "You should always set the Memory limit when using Memoryswap limit, see usage",
    "cpushares=-1": "shares: invalid argument",
    "cpuperiod=-1": "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
    "cpuquota=1": "CPU cfs quota can not be less than 1ms (i.e. 1000)",
    "shmsize=-1": "SHM size can not be less than 0",
    "cpusetcpus=9999999": "Invalid value 9999999 for cpuset cpus: value of out range, maximum is 8192",
    "cpusetcpus=8191": "Requested CPUs are not available - requested 8191, available: ",
    "cpusetmems=x": "Invalid value x for cpuset mems: invalid format: x",
    "extrahosts=nocolon": 'bad format for add-host: "nocolon"',
    "extrahosts=a:b": 'invalid IP address in add-host: "b"',
    "cgroupparent=../x": "invalid cgroup parent '../x'",
    "cgroupparent=a%00b": "invalid cgroup parent 'a\\x00b'",
    "ulimits=" + quote('[{"Name":"zzz","Soft":1,"Hard":2}]'): "wrong rlimit value: RLIMIT_ZZZ",
    "ulimits=" + quote('[{"Name":"nofile","Soft":2,"Hard":1}]'): "error setting rlimit type 7: invalid argument",
}


@pytest.mark.parametrize("query", LIMITS)
def test_limits_that_cannot_be(running: Daemon, query: str) -> None:
    status, body = request(running.socket, "POST", f"/build?forcerm=1&nocache=1&{query}", BODY, timeout=20)
    assert status == 200, body
    messages = [json.loads(line) for line in body.splitlines() if line]
    assert LIMITS[query] in messages[-1]["error"]
    assert b'"it ran' not in body
    assert leftovers(running.data_root) == []


@pytest.mark.parametrize(
    "value",
    ["UPPER", "a b", "a:", ":1", "a/../b", "http://a", "a" * 64, f"a@sha256:{'0' * 64}", "%ff", "%00", "a" * 60_000],
)
def test_tags_that_are_no_references(running: Daemon, value: str) -> None:
    message = refusal(running, f"t=fine&t={value.replace(' ', '+')}")
    assert message.startswith("t: "), message
    assert len(message) < 300
    assert request(running.socket, "GET", "/images/fine/json")[0] == 404


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("platform=a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ("platform=windows", "operating system is not supported: platform=windows/amd64"),
        ("version=3", 'invalid version "3"'),
        ("isolation=hyperv", 'Unsupported isolation: "hyperv"'),
        ("securityopt=", "The daemon on this platform does not support setting security options on build"),
        ("squash=1", "squash is only supported with experimental mode"),
        ("networkmode=nope", "network nope not found"),
        ("networkmode=container:x", "No such container: x"),
    ],
)
def test_other_parameters(running: Daemon, query: str, message: str) -> None:
    assert refusal(running, query) == message


def test_old_clients_are_told_in_plain_text(running: Daemon) -> None:
    status, body = request(running.socket, "POST", "/v1.23/build?memory=x", BODY)
    assert (status, body) == (400, b'memory: strconv.ParseInt: parsing "x": invalid syntax\n')


def test_a_query_of_64_mib_is_refused_without_being_kept(running: Daemon) -> None:
    before = _peak(running)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(20)
        client.connect(running.socket)
        status = _status_of_long(client, b"POST /build?buildargs=" + b"%5B" * 20, 64 << 20)
    assert status in {400, 414, 431}
    assert _peak(running) - before < 16 << 20
    assert request(running.socket, "GET", "/_ping")[0] == 200


def test_a_query_just_over_the_limit(running: Daemon) -> None:
    connection = UnixConnection(running.socket, timeout=20)
    connection.request("POST", f"/build?labels={'[' * (1 << 20)}", BODY)
    try:
        assert connection.getresponse().status in {400, 414, 431}
    except (ConnectionError, http.client.HTTPException):
        pytest.fail("the connection was cut without an answer")
    finally:
        connection.close()


def _status_of_long(client: socket.socket, beginning: bytes, size: int) -> int:
    """Send a request line of `size` bytes, as far as the daemon takes it; return the status of its answer."""
    piece = b"%5B" * 20_000
    try:
        client.sendall(beginning)
        for _ in range(size // len(piece)):
            client.sendall(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    answer = client.recv(1 << 16)
    return int(answer.split()[1])


def _peak(running: Daemon) -> int:
    """Return the most memory the daemon has had, in bytes."""
    for line in Path(f"/proc/{running.process.pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return resource.getpagesize()
