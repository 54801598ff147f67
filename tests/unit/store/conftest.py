"""A store in a temporary directory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.store import Store
from unit.store.seeding import Seed


@pytest.fixture
def seed(tmp_path: Path) -> Iterator[Seed]:
    seed = Seed(str(tmp_path))
    yield seed
    seed.store.close()


@pytest.fixture
def store(seed: Seed) -> Store:
    return seed.store
