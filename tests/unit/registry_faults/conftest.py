"""A world to break, for each test its own."""

from collections.abc import Iterator

import pytest

from imagewright.registry import Client
from support.registry_world import World, world


@pytest.fixture
def place() -> Iterator[World]:
    with world() as made:
        yield made


@pytest.fixture
def client(place: World) -> Iterator[Client]:
    with place.client() as made:
        yield made
