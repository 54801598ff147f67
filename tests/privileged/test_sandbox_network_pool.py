"""Networks that are made ahead: each is used once, and none outlives who made it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import imagewright
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, SystemFailure
from imagewright.sandbox import RunRequest, Sandbox
from imagewright.sandbox.network_pool import NetworkPool
from imagewright.sandbox.recovery import end_processes
from imagewright.sandbox.runtime import MARKER, environment

pytestmark = pytest.mark.privileged

_SECONDS = 20.0
_FOREVER = "#!/bin/sh\nexec sleep 1000\n"


def helpers(root: str) -> list[int]:
    """Return the processes that run for the sandbox at `root`."""
    marker = f"{MARKER}={root}".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            marked = marker in (path / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marked:
            found.append(int(path.name))
    return found


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(name="root")
def make_root(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    assert helpers(str(tmp_path)) == []


@pytest.fixture(name="pool")
def make_pool(root: str) -> Iterator[NetworkPool]:
    pool = NetworkPool(environment(root), size=2)
    try:
        yield pool
    finally:
        pool.close()


def fill(pool: NetworkPool, root: str, count: int) -> None:
    """Use a network, and wait until `count` are ready."""
    with pool.take() as network:
        network.wait_ready()
    wait_for(lambda: pool.ready == count and len(helpers(root)) == count)


def test_nothing_is_made_before_the_first_use(pool: NetworkPool, root: str) -> None:
    assert (pool.ready, helpers(root)) == (0, [])


def test_the_next_ones_are_ready_and_none_is_given_twice(pool: NetworkPool, root: str) -> None:
    fill(pool, root, 2)
    made_ahead = set(helpers(root))
    namespaces = set()
    with ExitStack() as stack:
        for number in range(4):
            network = stack.enter_context(pool.take())
            if number < 2:
                assert network.usable()
            network.wait_ready()
            namespaces.add(os.stat(network.path).st_ino)
        assert len(namespaces) == 4
        assert made_ahead <= set(helpers(root))
    wait_for(lambda: not made_ahead.intersection(helpers(root)))


def test_idle_ones_are_ended_and_made_again_for_the_next_use(root: str) -> None:
    pool = NetworkPool(environment(root), size=1, idle_seconds=0.2)
    for _ in range(2):
        fill(pool, root, 1)
        wait_for(lambda: pool.ready == 0 and not helpers(root))
    pool.close()


def test_one_whose_helper_was_killed_is_not_given_away(pool: NetworkPool, root: str) -> None:
    fill(pool, root, 2)
    for pid in helpers(root):
        os.kill(pid, signal.SIGKILL)
    with pool.take() as network:
        network.wait_ready()
        assert network.usable()


def test_close_ends_all_and_may_be_called_again(pool: NetworkPool, root: str) -> None:
    fill(pool, root, 2)
    pool.close()
    assert (pool.ready, helpers(root)) == (0, [])
    pool.close()


def test_whoever_asks_is_told_why_there_is_none(root: str, tmp_path: Path) -> None:
    pool = NetworkPool({**environment(root), "PATH": str(tmp_path)})
    for _ in range(2):
        with pytest.raises(SystemFailure, match="slirp4netns is not installed"), pool.take():
            pass
    pool.close()


def test_a_run_that_waits_for_its_network_is_cancelled(
    root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/slirp4netns").write_text(_FOREVER)
    (tmp_path / "bin/slirp4netns").chmod(0o755)
    (tmp_path / "lower/bin").mkdir(parents=True)
    (tmp_path / "upper").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    cancellation = Cancellation()
    outcomes: list[BaseException | int] = []
    request = RunRequest(
        container_id="a" * 64,
        argv=("/bin/true",),
        env=(),
        lowers=(f"{tmp_path}/lower",),
        upper=f"{tmp_path}/upper",
    )

    def run() -> None:
        try:
            outcomes.append(sandbox.run(request, output=lambda _, __: None, cancellation=cancellation))
        except Cancelled as error:
            outcomes.append(error)

    with Sandbox(root) as sandbox:
        thread = threading.Thread(target=run)
        thread.start()
        wait_for(lambda: helpers(root))
        cancellation.cancel()
        # Well before the time that a helper has to get ready.
        thread.join(5)
        assert not thread.is_alive()
    assert [type(outcome) for outcome in outcomes] == [Cancelled]


_HOLDER = """
import sys, time
from imagewright.sandbox.network_pool import NetworkPool
from imagewright.sandbox.runtime import environment
pool = NetworkPool(environment(sys.argv[1]), size=2)
with pool.take() as network:
    network.wait_ready()
    while pool.ready < 2:
        time.sleep(0.01)
    print("ready", flush=True)
    time.sleep(1000)
"""


@pytest.mark.parametrize("ended_by", ["itself", "recovery"])
def test_they_end_with_who_made_them(root: str, ended_by: str) -> None:
    sources = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, root], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": sources}
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"ready\n"
        assert len(helpers(root)) == 3
        if ended_by == "recovery":
            assert end_processes(root)
            assert helpers(root) == []
        holder.kill()
    wait_for(lambda: not helpers(root))
