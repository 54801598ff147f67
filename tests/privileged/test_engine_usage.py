"""Sizes, last use, prunes, commits of containers and happenings, by an embedded engine with a real runtime."""

import io
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, Engine, Happening, ImageQuery
from imagewright.errors import InvalidInput, NotFound, RunFailed
from support.bases import busybox_base
from support.engines import Log, build, flatten, leftovers, reference, saved

pytestmark = pytest.mark.privileged

FAILING = "FROM busybox\nRUN mkdir /made && echo half > /made/it && rm /etc/group && exit 7\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with Engine(str(tmp_path / "root")) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine


def test_a_failed_run_can_be_committed_and_looked_into(engine: Engine) -> None:
    with pytest.raises(RunFailed):
        build(engine, FAILING)
    [container] = engine.containers()
    assert container.exit_code == 7
    assert len(container.diff_ids) == 2
    image = engine.commit(container.id[:12], reference=reference("half"), changes=["CMD true"], message="look")
    assert engine.inspect("half").parent == engine.inspect("busybox").id
    files, config = flatten(saved(engine, "half"))
    assert files["made/it"].data == b"half\n"
    assert "etc/group" not in files
    assert config["config"]["Cmd"] == ["/bin/sh", "-c", "true"]
    assert engine.history("half")[0].created_by == f"/bin/sh -c {FAILING.splitlines()[1][4:]}"
    log = Log()
    build(engine, "FROM half\nRUN cat /made/it && test ! -e /etc/group\n", log=log)
    assert log.output == "half\n"
    engine.remove_container(container.id)
    assert engine.inspect(str(image)).id == image
    with pytest.raises(NotFound, match="No such container"):
        engine.commit(container.id)
    assert leftovers(engine.info().data_root) == []


def test_containers_that_are_kept_have_their_layers(engine: Engine) -> None:
    request = BuildRequest(remove=False)
    build(engine, "FROM busybox\nRUN echo one > /one\nENV A=1\nRUN true\n", request=request)
    base = engine.inspect("busybox").config.diff_ids
    assert [len(container.diff_ids) - len(base) for container in engine.containers()] == [1, 1, 1]
    image = engine.commit(engine.containers()[2].id)
    assert flatten(saved(engine, str(image)))[0]["one"].data == b"one\n"
    with pytest.raises(InvalidInput):
        engine.commit(engine.containers()[0].id, changes=["COPY a b"])


def test_a_failure_without_changes_and_one_that_is_removed(engine: Engine) -> None:
    with pytest.raises(RunFailed):
        build(engine, "FROM busybox\nRUN exit 1\n")
    assert engine.containers()[0].diff_ids == engine.inspect("busybox").config.diff_ids
    engine.remove_container(engine.containers()[0].id)
    with pytest.raises(RunFailed):
        build(engine, FAILING, request=BuildRequest(force_remove=True))
    assert engine.containers() == []


def test_sizes_come_and_go(engine: Engine) -> None:
    base = engine.list()[0]
    assert (base.shared_size, base.unique_size) == (0, base.size)
    build(engine, "FROM busybox\nRUN echo 12345 > /f\n", request=BuildRequest(tags=(reference("child"),)))
    child, base = sorted(engine.list(), key=lambda image: image.unique_size, reverse=True)
    assert (base.shared_size, base.unique_size) == (base.size, 0)
    assert (child.shared_size, child.unique_size) == (base.size, 6)
    usage = engine.disk_usage()
    assert usage.layers_size == base.size + 6
    assert usage.images == tuple(engine.list())
    before = engine.generation
    pruned = engine.prune()
    assert (pruned.removals, pruned.space_reclaimed) == ((), 0)
    assert engine.generation == before
    pruned = engine.prune(dangling=False)
    assert pruned.space_reclaimed == base.size + 6
    assert engine.disk_usage().layers_size == 0
    assert engine.generation != before


def test_what_uses_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3600 * 1_000_000_000
    real, passed = time.time_ns, 0
    monkeypatch.setattr(time, "time_ns", lambda: real() + passed * hour)
    with Engine(str(tmp_path / "root")) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        image = engine.inspect("busybox").id
        uses = (
            lambda: build(engine, "FROM busybox\nLABEL a=1\n"),
            lambda: engine.tag("busybox", reference("other")),
            lambda: engine.inspect("busybox"),
            lambda: saved(engine, "busybox"),
            lambda: engine.load(io.BytesIO(saved(engine, "busybox"))),
        )
        for use in uses:
            passed += 2
            assert image in {one.id for one in engine.list(ImageQuery(unused_for_ns=hour))}
            use()
            assert image not in {one.id for one in engine.list(ImageQuery(unused_for_ns=hour))}
            engine.prune(dangling=False, unused_for_ns=hour)
        passed += 2
        assert [removal.deleted for removal in engine.prune(dangling=False, unused_for_ns=hour).removals][2] == image


def told(happenings: list[Happening]) -> list[tuple[str, str, str, Mapping[str, str]]]:
    return [(one.type, one.action, one.id, one.attributes) for one in happenings]


def test_what_happens_is_told_as_the_engine_tells_it(engine: Engine) -> None:
    base = str(engine.inspect("busybox").id)
    image = str(build(engine, "FROM busybox\nLABEL x=1\n", request=BuildRequest(tags=(reference("out:1"),))))
    engine.tag("out:1", reference("two"))
    archive = io.BytesIO(saved(engine, "two"))
    engine.remove("two")
    engine.load(archive)
    with pytest.raises(RunFailed):
        build(engine, "FROM out:1\nRUN exit 1\n")
    [container] = engine.containers()
    committed = str(engine.commit(container.id, reference=reference("com")))
    engine.remove_container(container.id)
    engine.remove("com")
    engine.prune()
    label = {"x": "1"}
    actor = {**label, "image": image, "name": container.name}
    assert told(past(engine)) == [
        ("image", "tag", base, {"name": "busybox:latest"}),
        ("image", "import", base, {"name": base}),
        ("image", "tag", image, {**label, "name": "out:1"}),
        ("image", "tag", image, {**label, "name": "two:latest"}),
        ("image", "save", image, {**label, "name": image}),
        ("image", "untag", image, {**label, "name": image}),
        ("image", "load", image, {**label, "name": image}),
        ("image", "tag", committed, {**label, "name": "com:latest"}),
        (
            "container",
            "commit",
            container.id,
            {**actor, "comment": "", "imageID": committed, "imageRef": "com:latest"},
        ),
        ("container", "destroy", container.id, actor),
        ("image", "untag", committed, {**label, "name": committed}),
        ("image", "delete", committed, {"name": committed}),
        ("image", "prune", "", {"reclaimed": "0"}),
    ]


def past(engine: Engine) -> list[Happening]:
    cancellation = Cancellation()
    watch = engine.watch(since_ns=0, cancellation=cancellation)
    engine.tag("busybox", reference("mark"))
    seen = []
    for happening in watch:
        if happening.attributes.get("name") == "mark:latest":
            break
        seen.append(happening)
    return seen


def test_a_live_watch(engine: Engine) -> None:
    cancellation = Cancellation()
    watch = engine.watch(cancellation=cancellation)
    seen: list[str] = []
    thread = threading.Thread(target=lambda: seen.extend(one.action for one in watch))
    thread.start()
    engine.tag("busybox", reference("other"))
    engine.remove("other")
    cancellation.cancel()
    thread.join(5)
    assert not thread.is_alive()
    assert seen in ([], ["tag"], ["tag", "untag"])


def test_a_prune_by_label(engine: Engine) -> None:
    images = {label: build(engine, f"FROM busybox\nLABEL {label}\n") for label in ("keep=1", "drop=1")}
    pruned = engine.prune(labels=["drop"])
    assert [removal.deleted for removal in pruned.removals] == [images["drop=1"]]
    pruned = engine.prune(unlabelled=["keep"])
    assert pruned.removals == ()
    assert [removal.deleted for removal in engine.prune().removals] == [images["keep=1"]]
