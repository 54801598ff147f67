"""Every answer about images, against the answer of a real engine that holds the same."""

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator

import pytest

from compat.images_differential import hostile, listing, naming, system, transfer
from compat.images_differential.seed import SEEDED, known_ids, seeding
from support.daemon import daemon
from support.differential import Difference, KnownDifference, Pair, Request, Side, read_known, review
from support.dockerd import dockerd
from support.unixhttp import UnixConnection, request

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
        version = json.loads(request(engine.socket, "GET", "/version")[1])["ApiVersion"]
        if version != "1.41":
            # The list of differences is that of one engine.
            reason = f"compares with an engine of API 1.41; this machine's has {version}"
            if os.environ.get("CI") == "true":
                pytest.fail(f"{reason}, and CI=true", pytrace=False)
            pytest.skip(reason)
        pair = Pair(Side(engine.socket), Side(ours.socket))
        for name, digest in known_ids({**SEEDED, **naming.OWN, **transfer.OWN, **system.OWN}).items():
            pair.know(name, digest)
        try:
            yield pair, [difference for request in seeding() for difference in pair.ask(request)]
        finally:
            for side in pair.sides:
                side.close()


def test_the_list_of_differences_is_in_order() -> None:
    with open(KNOWN, "rb") as file:
        entries = tomllib.load(file)["difference"]
    assert not [entry for entry in entries if not entry.get("reason", "").endswith(".")]
    named = {name for entry in entries for name in entry.get("groups", "").split()}
    assert named <= {"seed", *GROUPS}


def test_what_the_list_does_not_say_and_what_it_says_in_vain() -> None:
    known = KnownDifference("*", ("one *",), ("body/*",), "A reason.", {"imagewright": "x*"})
    other = KnownDifference("*", ("two",), ("status",), "Another reason.", {"engine": 500})
    covered = Difference("one 1", "body/0", 1, "xy")
    unknown = Difference("one 1", "body/0", 1, "y")
    assert not review([covered], [known])
    assert "body/0" in review([covered, unknown], [known])
    assert "Another reason." in review([covered], [known, other])
    assert not review([covered, Difference("two", "status", 500, 400)], [known, other])


def test_seed(seeded: tuple[Pair, list[Difference]]) -> None:
    _, found = seeded
    report = review(found, read_known(KNOWN, "seed"))
    assert not report, report


def test_events_as_they_happen(seeded: tuple[Pair, list[Difference]]) -> None:
    """A stream that stays open until the client leaves: the headers come at once, each event as it happens."""
    pair, _ = seeded
    seen = []
    for side in pair.sides:
        connection = UnixConnection(side.socket, timeout=10)
        try:
            connection.request("GET", "/v1.41/events?filters=%7B%22type%22:%5B%22image%22%5D%7D")
            response = connection.getresponse()
            assert response.status == 200
            for tag in ("live:1", "live:2"):
                assert request(side.socket, "POST", f"/images/tie:a/tag?repo={tag}")[0] == 201
                event = json.loads(response.readline())
                seen.append((event["Type"], event["Action"], event["id"], event["Actor"]["Attributes"]))
            for tag in ("live:1", "live:2"):
                assert request(side.socket, "DELETE", f"/images/{tag}")[0] == 200
                assert json.loads(response.readline())["Action"] == "untag"
        finally:
            connection.close()
    assert seen[:2] == seen[2:]


@pytest.mark.parametrize("group", GROUPS)
def test_same_answers(seeded: tuple[Pair, list[Difference]], group: str) -> None:
    pair, _ = seeded
    found = [difference for request in GROUPS[group]() for difference in pair.ask(request)]
    report = review(found, read_known(KNOWN, group))
    assert not report, report
