"""Every answer about images, against the answer of a real engine that holds the same."""

import os
from collections.abc import Callable, Iterable, Iterator

import pytest

from compat.images_differential import hostile, listing, naming, system, transfer
from compat.images_differential.seed import SEEDED, known_ids, seeding
from support.daemon import daemon
from support.differential import Difference, Pair, Request, Side, read_known, review
from support.dockerd import dockerd

pytestmark = pytest.mark.compat

KNOWN = os.path.join(os.path.dirname(__file__), "images_differential", "differences.toml")

# Those that change nothing first; the last removes what there is.
GROUPS: dict[str, Callable[[], Iterable[Request]]] = {
    "list": listing.listing,
    "versions": listing.versions,
    "newer-versions": listing.newer_versions,
    "names": naming.naming,
    "routes": system.routes,
    "disk-usage": system.disk_usage,
    "containers": system.containers,
    "hostile": hostile.hostile,
    "events": system.events,
    "commit": system.committing,
    "tag": naming.tagging,
    "load": transfer.loading,
    "import": transfer.importing,
    "delete": naming.deleting,
    "prune": system.pruning,
}


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pair, list[Difference]]]:
    """Both engines, and how they differed while they were given what they hold."""
    directory = tmp_path_factory.mktemp("pair")
    with dockerd(str(directory)) as engine, daemon(str(directory)) as ours:
        pair = Pair(Side(engine.socket), Side(ours.socket))
        for name, digest in known_ids({**SEEDED, **naming.OWN, **transfer.OWN, **system.OWN}).items():
            pair.know(name, digest)
        try:
            yield pair, [difference for request in seeding() for difference in pair.ask(request)]
        finally:
            for side in pair.sides:
                side.close()


def test_seed(seeded: tuple[Pair, list[Difference]]) -> None:
    _, found = seeded
    report = review(found, read_known(KNOWN, "seed"))
    assert not report, report


@pytest.mark.parametrize("group", GROUPS)
def test_same_answers(seeded: tuple[Pair, list[Difference]], group: str) -> None:
    pair, _ = seeded
    found = [difference for request in GROUPS[group]() for difference in pair.ask(request)]
    report = review(found, read_known(KNOWN, group))
    assert not report, report
