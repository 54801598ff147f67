"""The daemon as a program: what it answers to bad input, and what is left after it is killed."""

import contextlib
import hashlib
import http.client
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.bases import busybox_base
from support.builder import Member, archive, context
from support.daemon import Daemon, daemon
from support.engines import cgroups, leftovers, processes
from support.unixhttp import UnixConnection, request

pytestmark = pytest.mark.privileged

_PARENT = "imagewright-test-kill"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        _import_base(running)
        yield running


def _import_base(running: Daemon) -> None:
    status, _ = request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())
    assert status == 200


def _build(running: Daemon, data: bytes, query: str = "") -> tuple[int, list[dict[str, object]]]:
    status, body = request(running.socket, "POST", f"/build?{query}", data)
    return status, [json.loads(line) for line in body.split(b"\r\n" if status == 200 else b"\n") if line]


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (context("FROM busybox\nFOO x\n"), 400, "dockerfile parse error line 2: unknown instruction: FOO"),
        (context("FROM busybox\n")[:512], 400, ""),
        (context("", {"Other": "x"}), 400, "the Dockerfile (Dockerfile) cannot be empty"),
        (b"\0" * 1024, 400, "Cannot locate specified Dockerfile: Dockerfile"),
        (b"garbage", 400, "unexpected EOF"),
        (b"garbage!" * 512, 400, "archive/tar: invalid tar header"),
        (context("FROM busybox\n", {"f": b"1" * 5000})[:3000], 400, ""),
    ],
)
def test_what_cannot_be_built_is_refused_before_the_stream(
    running: Daemon, data: bytes, status: int, message: str
) -> None:
    answered, messages = _build(running, data)
    assert answered == status
    assert message in str(messages[0]["message"])
    assert leftovers(running.data_root) == []


@pytest.mark.parametrize(
    ("dockerfile", "message", "code"),
    [
        ("FROM busybox\nCOPY ../x /\n", "COPY failed: forbidden path outside the build context: ../x ()", None),
        ("FROM busybox\nCOPY link/passwd /\n", "COPY failed: file not found in build context", None),
        ("FROM busybox\nRUN exit 3\n", "The command '/bin/sh -c exit 3' returned a non-zero code: 3", 3),
    ],
)
def test_what_fails_later_is_the_last_message(running: Daemon, dockerfile: str, message: str, code: int | None) -> None:
    data = context(dockerfile, {"link": Member.symlink("/etc")})
    status, messages = _build(running, data, "forcerm=1&t=never")
    assert status == 200
    assert message in str(messages[-1]["error"])
    detail = messages[-1]["errorDetail"]
    assert isinstance(detail, dict)
    assert detail.get("code") == code
    assert request(running.socket, "GET", "/images/never/json")[0] == 404
    assert request(running.socket, "GET", "/containers/json?all=1")[1].strip() == b"[]"
    assert leftovers(running.data_root) == []


def test_a_dockerfile_that_is_a_pipe(running: Daemon) -> None:
    status, messages = _build(running, archive({"Dockerfile": Member(type=tarfile.FIFOTYPE)}))
    assert status == 400
    assert "Cannot locate specified Dockerfile" in str(messages[0]["message"])


def test_a_thousand_images(running: Daemon) -> None:
    lines = "".join(f"LABEL n{n}=x\n" for n in range(100))
    for batch in range(10):
        status, messages = _build(running, context(f"FROM scratch\nENV BATCH={batch}\n{lines}"), f"t=many:{batch}")
        assert (status, "error" in messages[-1]) == (200, False)
    listed = json.loads(request(running.socket, "GET", "/images/json?all=1")[1])
    assert len(listed) >= 1000
    named = json.loads(request(running.socket, "GET", "/images/json?filters=%7B%22reference%22:%5B%22many%22%5D%7D")[1])
    assert len(named) == 10
    _, messages = _build(running, context(f"FROM scratch\nENV BATCH=3\n{lines}"), "t=many:again")
    assert sum("Using cache" in str(message.get("stream")) for message in messages) == 101


def test_a_locked_cache_of_a_client_that_does_not_read(running: Daemon) -> None:
    def dockerfile(command: str) -> bytes:
        return context(f"FROM busybox\nRUN --mount=type=cache,target=/c,sharing=locked {command}\n")

    clients = [UnixConnection(running.socket) for _ in range(3)]
    clients[0].request("POST", "/build", dockerfile("touch /c/held; while :; do echo begun; done"))
    stalled = clients[0].getresponse()
    while b'"begun' not in stalled.readline():
        pass
    for number, client in enumerate(clients[1:]):
        client.request("POST", f"/build?buildid=waits{number}&forcerm=1", dockerfile(f"echo {number} && ls /c"))
    response = clients[1].getresponse()
    while b"RUN" not in response.readline():
        pass
    # Whoever waits for the cache can be cancelled, and gets it when the client that has it leaves.
    time.sleep(0.2)
    assert request(running.socket, "POST", "/build/cancel?id=waits0")[0] == 200
    assert b"Build cancelled" in response.read()
    stalled.close()
    clients[0].close()
    assert b"held" in clients[2].getresponse().read()
    for client in clients[1:]:
        client.close()


def test_nothing_is_left_after_a_kill_in_the_middle_of_a_run(tmp_path: Path) -> None:
    with daemon(str(tmp_path)) as running:
        _import_base(running)
        _build(running, context("FROM busybox\nRUN echo kept > /kept\n"), "t=kept")
        data = context("FROM busybox\nRUN echo a > /a\nRUN echo running; sleep 4321\n")
        elsewhere = context("FROM busybox\nRUN sleep 4322\n")
        limits = f"memory=67108864&cgroupparent={_PARENT}"
        threads = [
            threading.Thread(target=_build_until_cut, args=(running, data)),
            threading.Thread(target=_build_until_cut, args=(running, elsewhere, limits)),
        ]
        for thread in threads:
            thread.start()
        _wait_for("sleep 4321")
        _wait_for("sleep 4322")
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait()
        for thread in threads:
            thread.join()
    assert len(_cgroups(running.data_root, below=_PARENT)) >= 1
    with daemon(str(tmp_path)) as running:
        assert not [line for line in processes() if "sleep 4321" in line or "sleep 4322" in line]
        assert _cgroups(running.data_root, below=_PARENT) == []
        _remove_parents()
        assert leftovers(running.data_root) == []
        assert cgroups(running.data_root) == []
        names = [tag for image in _images(running) for tag in image["RepoTags"]]
        assert sorted(names) == ["busybox:latest", "kept:latest"]
        for image in _images(running):
            _check_export(running, image["Id"])
        status, messages = _build(running, data.replace(b"sleep 4321", b"sleep 0.01"))
        assert (status, "error" in messages[-1]) == (200, False)


def _build_until_cut(running: Daemon, data: bytes, query: str = "") -> None:
    connection = UnixConnection(running.socket)
    try:
        connection.request("POST", f"/build?t=never&{query}", data)
        with connection.getresponse() as response:
            response.read()
    except (OSError, http.client.HTTPException):
        return  # The daemon is killed while it answers: how the connection ends is no matter.
    finally:
        connection.close()


def _wait_for(text: str) -> None:
    deadline = time.monotonic() + 60
    while not [line for line in processes() if text in line and "sh -c" not in line]:
        assert time.monotonic() < deadline, f"no process {text!r}"
        time.sleep(0.05)


def _images(running: Daemon) -> list[dict[str, list[str]]]:
    listed: list[dict[str, list[str]]] = json.loads(request(running.socket, "GET", "/v1.43/images/json")[1])
    return listed


def _check_export(running: Daemon, image: object) -> None:
    status, body = request(running.socket, "GET", f"/images/{image}/get")
    assert status == 200
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        blobs = 0
        for member in tar:
            if member.isfile() and member.name.startswith("blobs/sha256/"):
                file = tar.extractfile(member)
                assert file is not None
                assert hashlib.sha256(file.read()).hexdigest() == member.name.rpartition("/")[2]
                blobs += 1
        assert blobs >= 3


def _cgroups(data_root: str, *, below: str = "") -> list[Path]:
    """Return the control groups of the sandbox at `data_root`, which are named after it, that are in `below`."""
    name = hashlib.sha256(f"{data_root}/run".encode()).hexdigest()[:12]
    return [path for top in _hierarchies() for path in (top / below).glob(f"imagewright-{name}*")]


def _hierarchies() -> list[Path]:
    return [top for top in (Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()) if top.is_dir()]


def _remove_parents() -> None:
    for top in _hierarchies():
        with contextlib.suppress(FileNotFoundError):
            (top / _PARENT).rmdir()
