"""Builds whose images are in a registry: what is told when, and what becomes of it."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, Engine
from imagewright.errors import Cancelled, NotFound, RunFailed
from imagewright.events import BuildWarning, Event, Status, StepFinished, StepStarted
from imagewright.oci import Digest, Platform
from support.bases import busybox_base
from support.builder import archive, context
from support.engines import Log, build, leftovers, reference
from support.fake_registry import FakeRegistry, dripping, fake_registry, make_image, status
from support.registry_world import settings

pytestmark = pytest.mark.privileged

ONE, TWO = archive({"one": "1" * 5000}), archive({"two": "2"})


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as running:
        make_image(running, "one", "1", ONE)
        make_image(running, "two", "1", ONE, TWO)
        yield running


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root"), registry=settings()) as engine:
        yield engine


def told(log: Log) -> list[str]:
    """Return what was told, without what only says how far something is."""
    return [word for event in log.events for word in words(event)]


def words(event: Event) -> list[str]:
    match event:
        case StepStarted(number, total, text):
            return [f"{number}/{total} {text.split(':')[0]}"]
        case StepFinished(image):
            return ["->" if image else "-> nothing"]
        case Status(message) if message != "Downloading":
            return [message.split(":")[0]]
    return []


PULLED = ["Verifying Checksum", "Download complete", "Extracting", "Pull complete"]


def test_each_pull_is_told_live_in_its_place(engine: Engine, registry: FakeRegistry) -> None:
    log = Log()
    seen: list[list[str]] = []
    registry.fault(r"GET /v2/one/blobs/.*", prepare=lambda _request: seen.append(told(log)))
    dockerfile = (
        f"FROM {registry.host}/one:1 AS a\nLABEL a=b\nFROM {registry.host}/one:1\nCOPY --from=a /one /x\n"
        f"COPY --from={registry.host}/two:1 /two /y\nCOPY --from={registry.host}/two:1 /two /z\n"
    )
    build(engine, dockerfile, log=log)
    host = registry.host.split(":")[0]
    first = [f"1/6 FROM {host}", "Pulling from one", "Pulling fs layer"]
    assert told(log) == [
        *first, *PULLED, "Digest", "Status", "->",
        "2/6 LABEL a=b", "->",
        f"3/6 FROM {host}", "->",
        "4/6 COPY --from=a /one /x", "->",
        f"5/6 COPY --from={host}", "Pulling from two", "Already exists", "Pulling fs layer",
        *PULLED, "Digest", "Status", "->",
        f"6/6 COPY --from={host}", "->",
    ]  # fmt: skip
    # The configuration is asked for before anything is told of the image, the layer after it.
    assert seen == [first[:1], first]
    assert len([path for path in registry.server.asked if "/manifests/" in path]) == 2


def test_a_pull_that_fails_ends_the_build_at_its_step(engine: Engine, registry: FakeRegistry) -> None:
    log = Log()
    host = registry.host.split(":")[0]
    dockerfile = f"FROM {registry.host}/one:1 AS a\nFROM {registry.host}/nope:1\nCOPY --from=a /one /one\n"
    with pytest.raises(NotFound, match="/nope not found"):
        build(engine, dockerfile, log=log)
    assert told(log)[-3:] == ["Status", "->", f"2/3 FROM {host}"]
    registry.fault(r"GET /v2/two/blobs/.*", status(404), spared=1)
    log = Log()
    with pytest.raises(NotFound):
        build(engine, f"FROM {registry.host}/one:1\nCOPY --from={registry.host}/two:1 /two /two\n", log=log)
    assert told(log)[2:] == [f"2/2 COPY --from={host}", "Pulling from two", "Already exists", "Pulling fs layer"]
    assert leftovers(engine.info().data_root) == []


def test_cancelled_while_it_pulls(engine: Engine, registry: FakeRegistry) -> None:
    cancellation = Cancellation()
    log = Log()
    pattern = r"GET /v2/one/blobs/.*"
    registry.fault(pattern, dripping(1), spared=1, prepare=lambda _request: cancellation.cancel())
    data = io.BytesIO(context(f"FROM {registry.host}/one:1\nLABEL a=b\n"))
    with pytest.raises(Cancelled, match=r"^Build cancelled$"):
        engine.build(data, report=log, cancellation=cancellation)
    assert told(log)[-1] == "Pulling fs layer"
    assert engine.list() == []
    assert leftovers(engine.info().data_root) == []


def test_a_step_that_fails_ends_the_pull_of_a_later_stage(engine: Engine, registry: FakeRegistry) -> None:
    engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
    # It would take hours.
    registry.fault(r"GET /v2/one/blobs/.*", dripping(1), spared=1)
    log = Log()
    dockerfile = f"FROM busybox AS a\nRUN exit 3\nFROM {registry.host}/one:1\nCOPY --from=a / /\n"
    with pytest.raises(RunFailed):
        build(engine, dockerfile, log=log)
    assert told(log) == ["1/4 FROM busybox AS a", "->", "2/4 RUN exit 3"]
    assert leftovers(engine.info().data_root) == []


def test_a_step_with_triggers_ends_with_the_last(engine: Engine, registry: FakeRegistry) -> None:
    base = f"{registry.host}/one:1"
    build(engine, f"FROM {base}\nONBUILD LABEL a=b\nONBUILD LABEL c=d\n", request=BuildRequest(tags=(reference("on"),)))
    log = Log()
    build(engine, "FROM on\nLABEL e=f\n", log=log)
    assert told(log) == ["1/2 FROM on", "->", "2/2 LABEL e=f", "->"]


def test_a_stage_that_a_trigger_of_a_pulled_image_needs(engine: Engine, registry: FakeRegistry) -> None:
    base = f"{registry.host}/one:1"
    name = reference(f"{registry.host}/on:1")
    build(engine, f"FROM {base}\nONBUILD COPY --from=first /two /\n", request=BuildRequest(tags=(name,)))
    engine.push(name)
    engine.remove(name.familiar)
    log = Log()
    image = build(engine, f"FROM {registry.host}/two:1 AS first\nLABEL a=b\nFROM {name}\nLABEL c=d\n", log=log)
    assert [word for word in told(log) if word[0] in "12-"] == [
        f"1/2 FROM {registry.host.split(':')[0]}",
        "->",
        "2/2 LABEL c=d",
        "->",
    ]
    assert len(engine.inspect(str(image)).config.diff_ids) == 2
    assert [event.message for event in log.events if isinstance(event, Status) and "Pulling from" in event.message] == [
        "Pulling from on",
        "Pulling from two",
    ]


def foreign(engine: Engine, registry: FakeRegistry, name: str) -> Digest:
    """Load an image for another machine, called `name` here."""
    config = {"architecture": "arm64", "variant": "v8", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    manifest = [{"Config": "c.json", "RepoTags": [f"{registry.host}/{name}"], "Layers": []}]
    engine.load(io.BytesIO(archive({"c.json": json.dumps(config), "manifest.json": json.dumps(manifest)})))
    return engine.look(f"{registry.host}/{name}").id


def test_an_image_for_another_machine(engine: Engine, registry: FakeRegistry) -> None:
    here = Platform("linux", engine.info().architecture)
    make_image(registry, "both", "1", ONE, architecture=here.architecture)
    make_image(registry, "theirs", "1", ONE, architecture="arm64")
    identity = foreign(engine, registry, "both:1")
    for name in ("theirs:1", "gone:1"):
        foreign(engine, registry, name)
    request = BuildRequest(platform=here)
    # Nobody asks for a platform: any image that is here will do.
    assert build(engine, f"FROM {registry.host}/both:1\n") == identity
    log = Log()
    build(engine, f"FROM {registry.host}/both:1\nLABEL a=b\nFROM {registry.host}/both:1\nLABEL a=c\n", log=log)
    (warning,) = (event.message for event in log.events if isinstance(event, BuildWarning))
    assert warning == (
        f" ---> [Warning] The requested image's platform (linux/arm64/v8) does not match the detected host platform "
        f"({here}) and no specific platform was requested"
    )
    assert registry.server.asked == []
    for name in ("theirs:1", "gone:1"):
        with pytest.raises(NotFound, match=r"was found but does not match the specified platform: wanted \S+, actual"):
            build(engine, f"FROM {registry.host}/{name}\n", request=request)
    asked = len(registry.server.asked)
    with pytest.raises(NotFound, match=f"wanted {here}, actual: linux/arm64/v8$"):
        build(engine, f"FROM {identity.short}\n", request=request)
    assert len(registry.server.asked) == asked
    for dockerfile in (f"FROM {registry.host}/both:1\n", f"FROM --platform=$BUILDPLATFORM {registry.host}/both:1\n"):
        image = build(engine, dockerfile, request=request)
        assert engine.inspect(str(image)).config.architecture == here.architecture
