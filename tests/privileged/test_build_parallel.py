"""Builds at the same time: what is equal is done once, and nobody depends on the others."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, Engine
from imagewright.errors import Cancelled, ImagewrightError, RunFailed
from imagewright.events import ContainerStarted, Event, Output
from support.bases import busybox_base
from support.builder import context
from support.daemon import daemon
from support.engines import Log, leftovers, reference
from support.unixhttp import request

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine


class Build:
    """A build in a thread; `begun` is called once, with the first output of a RUN."""

    def __init__(self, engine: Engine, run: str, *, no_cache: bool = False) -> None:
        self.log = Log()
        self.cancellation = Cancellation()
        self.error: ImagewrightError | None = None
        self.begun: Callable[[], object] = lambda: None
        self.running = threading.Event()
        self._engine = engine
        self._request = BuildRequest(network_mode="none", no_cache=no_cache, force_remove=True)
        self._context = context(f"FROM busybox\nRUN {run}\n")
        self._thread = threading.Thread(target=self._build)

    def start(self) -> "Build":
        self._thread.start()
        return self

    def join(self) -> "Build":
        self._thread.join(60)
        assert not self._thread.is_alive()
        return self

    @property
    def ran(self) -> bool:
        """Whether it has had a container."""
        return any(isinstance(event, ContainerStarted) for event in self.log.events)

    def _report(self, event: Event) -> None:
        self.log(event)
        if isinstance(event, Output) and not self.running.is_set():
            self.running.set()
            self.begun()

    def _build(self) -> None:
        try:
            self._engine.build(
                io.BytesIO(self._context), self._request, report=self._report, cancellation=self.cancellation
            )
        except ImagewrightError as error:
            self.error = error


def side_by_side(engine: Engine, run: str, *, no_cache: bool = False) -> tuple[Build, Build]:
    """Build the same twice, the second time when the RUN of the first has printed something."""
    first, second = Build(engine, run), Build(engine, run, no_cache=no_cache)
    first.begun = second.start
    first.start().join()
    assert first.running.is_set()
    return first, second.join()


def test_equal_steps_are_carried_out_once(engine: Engine) -> None:
    first, second = side_by_side(engine, "echo on; sleep 0.7; cat /proc/sys/kernel/random/uuid > /u")
    assert (first.error, second.error) == (None, None)
    assert (first.ran, second.ran, second.log.hits) == (True, False, 1)


def test_who_wants_no_cache_shares_nothing(engine: Engine) -> None:
    first, second = side_by_side(engine, "echo on again; sleep 0.5", no_cache=True)
    assert (first.ran, second.ran) == (True, True)


def test_whoever_waited_for_a_step_that_fails_fails_by_itself(engine: Engine) -> None:
    first, second = side_by_side(engine, "echo on; sleep 0.3; exit 7")
    assert isinstance(first.error, RunFailed)
    assert isinstance(second.error, RunFailed)
    assert second.ran
    assert second.log.output == "on\n"


def test_whoever_waited_takes_over_from_one_that_is_cancelled(engine: Engine) -> None:
    run = "echo here; sleep 0.5; echo done"
    first, second = Build(engine, run), Build(engine, run)

    def begun() -> None:
        second.start()
        threading.Timer(0.2, first.cancellation.cancel).start()

    first.begun = begun
    first.start().join()
    assert isinstance(first.error, Cancelled)
    assert (second.join().error, second.log.output) == (None, "here\ndone\n")


def test_whoever_waits_can_be_cancelled(engine: Engine) -> None:
    run = "echo there; sleep 1"
    first, second = Build(engine, run), Build(engine, run)

    def begun() -> None:
        second.start()
        threading.Timer(0.1, second.cancellation.cancel).start()

    first.begun = begun
    first.start().join()
    assert isinstance(second.join().error, Cancelled)
    assert (first.error, second.ran) == (None, False)
    assert leftovers(engine.info().data_root) == []


def test_a_hundred_builds_of_one_tag(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = context("FROM busybox\nCOPY f /f\nRUN cat /f /proc/sys/kernel/random/uuid > /u\n", {"f": "1"})
    with daemon(str(tmp_path_factory.mktemp("daemon"))) as running:
        assert request(running.socket, "POST", "/images/create?fromSrc=-&repo=busybox", busybox_base())[0] == 200

        def build(_number: int) -> tuple[int, bytes]:
            return request(running.socket, "POST", "/build?t=same&networkmode=none", data)

        with ThreadPoolExecutor(100) as pool:
            answers = list(pool.map(build, range(100)))
        assert {status for status, _ in answers} == {200}
        images = {json.loads(body.splitlines()[-1])["stream"] for _, body in answers}
        assert images == {"Successfully tagged same:latest\n"}
        assert sum(b"Running in" in body for _, body in answers) == 1
        assert len({line for _, body in answers for line in body.splitlines() if b'"aux"' in line}) == 1
        assert leftovers(running.data_root) == []
