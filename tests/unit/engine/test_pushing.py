import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine.importing import import_image
from imagewright.engine.pulling import pull
from imagewright.engine.pushing import push
from imagewright.errors import NotFound
from imagewright.events import Event, Status
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.registry import Client
from imagewright.store import Store
from support.builder import archive
from support.fake_registry import FakeRegistry, fake_registry, make_image
from support.registry_world import AMD64, settings

LAYER = archive({"a": "one"})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        yield running


def send(store: Store, name: Reference, *, all_tags: bool = False) -> list[Event]:
    events: list[Event] = []
    with Client(settings()) as client:
        push(store, client, name, all_tags=all_tags, report=events.append, cancellation=Cancellation())
    return events


def add(store: Store, name: Reference) -> Digest:
    return import_image(
        store,
        io.BytesIO(LAYER),
        references=[name],
        changes=(),
        message="",
        platform=AMD64,
        clock=lambda: 1,
        cancellation=Cancellation(),
    )


def messages(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Status) and event.message != "Pushing"]


def test_a_new_image_and_the_same_again(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    image = add(store, name)
    first = send(store, name)
    digest = registry.repository("team/app").tags["1"]
    size = len(registry.repository("team/app").manifests[digest])
    assert messages(first) == [
        f"The push refers to repository [{registry.host}/team/app]",
        "Preparing",
        "Pushed",
        f"1: digest: {digest} size: {size}",
        "",
    ]
    assert first[-1] == Status("", extra={"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": size}})
    assert [str(found.digest) for found in store.get_image(image).digests] == [digest]
    registry.server.requests.clear()
    assert "Layer already exists" in messages(send(store, name))
    assert {request.method for request in registry.server.requests} <= {"GET", "HEAD"}


def test_a_pulled_image_keeps_its_digest(store: Store, registry: FakeRegistry) -> None:
    digest = make_image(registry, "team/app", "1", LAYER)
    name = Reference.parse(f"{registry.host}/team/app:1")
    with Client(settings()) as client:
        image = pull(store, client, name, platform=AMD64, report=lambda _: None, cancellation=Cancellation())
    other = Reference.parse(f"{registry.host}/other/app:2")
    store.tag(image, other)
    assert "Mounted from team/app" in messages(send(store, other))
    assert registry.repository("other/app").tags == {"2": digest}
    with fake_registry() as elsewhere:
        far = Reference.parse(f"{elsewhere.host}/app:3")
        store.tag(image, far)
        send(store, far, all_tags=True)
        assert elsewhere.repository("app").tags == {"3": digest}


def test_what_is_not_here(store: Store, registry: FakeRegistry) -> None:
    name = Reference.parse(f"{registry.host}/team/app:1")
    with pytest.raises(NotFound, match="An image does not exist locally with the tag"):
        send(store, name)
    add(store, name)
    with pytest.raises(NotFound, match="tag does not exist"):
        send(store, name.with_tag("2"))
