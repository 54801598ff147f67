from collections.abc import Iterator
from pathlib import Path

import pytest

from unit.api.fake_daemon import FakeDaemon, running
from unit.api.fake_engine import FakeEngine


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def daemon(engine: FakeEngine, tmp_path: Path) -> Iterator[FakeDaemon]:
    with running(str(tmp_path / "api.sock"), engine) as daemon:
        yield daemon
