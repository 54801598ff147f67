from dataclasses import replace
from functools import reduce

import pytest
from msgspec.structs import replace as changed

from imagewright.build.imported_cache import ImportedCache
from imagewright.build.state import advance
from imagewright.oci import Digest, History, ImageConfig, RootfsConfig, RunConfig
from imagewright.plan import AddFiles, Configure, CopyFiles, Document, MakeDirectory, Node, RunCommand, Scratch
from imagewright.plan.ops import Op

LAYER, OTHER = Digest.of(b"layer"), Digest.of(b"other")
BASE = ImageConfig(
    architecture="amd64",
    os="linux",
    config=RunConfig(env=("PATH=/bin",)),
    rootfs=RootfsConfig(diff_ids=(str(Digest.of(b"base")),)),
    history=(History(created="2024-01-01T00:00:00Z", created_by="base"),),
)
RUN = RunCommand(argv=("make",), env=("PATH=/bin",))


def node(op: Op, text: str, config: RunConfig | None = None) -> Node:
    return Node(index=1, stage=0, op=op, config=BASE.run if config is None else config, created_by=text)


MAKE = node(RUN, "make")


def image(*steps: tuple[Node, Digest | None], base: ImageConfig = BASE) -> ImageConfig:
    """Return what a build of `steps` would have made, a second each."""

    def step(config: ImageConfig, item: tuple[int, tuple[Node, Digest | None]]) -> ImageConfig:
        second, (made, diff_id) = item
        return advance(
            config, made, created_ns=second * 10**9 + 7, diff_id=diff_id, created_by=made.created_by_with("file:x")
        )

    return reduce(step, enumerate(steps, 1), base)


def found(cached: ImageConfig, wanted: Node = MAKE, parent: ImageConfig = BASE, text: str = "") -> bool:
    return ImportedCache([cached]).find(wanted, parent, text or wanted.created_by) is not None


def test_the_same_step_on_the_same_parent() -> None:
    record = ImportedCache([image(base=BASE), image((MAKE, LAYER))]).find(MAKE, BASE, "make")
    assert record is not None
    assert (record.diff_id, record.created_ns, dict(record.leaves)) == (LAYER, 1_000_000_007, {})


def test_a_chain_of_steps_ends_in_the_image_itself() -> None:
    env = node(Configure("ENV A=1"), "/bin/sh -c #(nop)  ENV A=1", RunConfig(env=("PATH=/bin", "A=1")))
    workdir = node(
        MakeDirectory("/w"), "/bin/sh -c #(nop) WORKDIR /w", RunConfig(env=("PATH=/bin", "A=1"), working_dir="/w")
    )
    user = node(Configure("USER u"), "/bin/sh -c #(nop)  USER u", changed(workdir.config, user="u"))
    last = node(RUN, "make", user.config)
    cached = image((MAKE, LAYER), (env, None), (workdir, OTHER), (user, None), (last, None))
    config = BASE
    for wanted in (MAKE, env, workdir, user, last):
        record = ImportedCache([cached]).find(wanted, config, wanted.created_by)
        assert record is not None
        config = advance(
            config, wanted, created_ns=record.created_ns, diff_id=record.diff_id, created_by=wanted.created_by
        )
    assert config == cached
    assert not found(cached, MAKE, parent=cached)


@pytest.mark.parametrize(
    "parent",
    [
        changed(BASE, rootfs=RootfsConfig(diff_ids=(str(OTHER),))),
        changed(BASE, rootfs=RootfsConfig(diff_ids=(*(BASE.rootfs.diff_ids or ()), str(OTHER)))),
        changed(BASE, history=(History(created="2024-01-01T00:00:01Z", created_by="base"),)),
        changed(BASE, history=()),
        changed(BASE, architecture="arm64"),
        ImageConfig(architecture="amd64", os="linux"),
    ],
    ids=["other layer", "more layers", "another time", "no history", "another machine", "scratch"],
)
def test_another_parent(parent: ImageConfig) -> None:
    assert not found(image((MAKE, LAYER)), parent=parent)


def test_another_step() -> None:
    cached = image((MAKE, LAYER))
    assert not found(cached, node(RUN, "make all"))
    assert not found(cached, replace(MAKE, author="somebody"))
    assert not found(cached, node(Configure("make"), "make"))
    assert found(image((MAKE, None)))


@pytest.mark.parametrize(
    "config",
    [RunConfig(env=("PATH=/sbin",)), RunConfig(env=()), changed(BASE.run, user="u"),
     changed(BASE.run, working_dir="/w"), changed(BASE.run, env=("PATH=/bin", "A=1"))],
)  # fmt: skip
def test_a_base_with_another_configuration_and_nothing_else(config: RunConfig) -> None:
    cached = image((MAKE, LAYER), (node(Configure("LABEL a=b"), "/bin/sh -c #(nop)  LABEL a=b"), None))
    assert found(cached)
    assert not found(cached, replace(MAKE, config=config))


@pytest.mark.parametrize(
    ("layers", "created"), [((), "2024-01-01T00:00:00Z"), (("x",), "2024-01-01T00:00:00Z"), ((str(LAYER),), "today")]
)
def test_an_image_that_makes_no_sense(layers: tuple[str, ...], created: str) -> None:
    cached = image((MAKE, LAYER))
    history = (*(BASE.history or ()), History(created=created, created_by="make"))
    rootfs = RootfsConfig(diff_ids=(*(BASE.rootfs.diff_ids or ()), *layers))
    assert not found(changed(cached, history=history, rootfs=rootfs))


def test_files_are_known_by_their_digest() -> None:
    copy = node(CopyFiles(sources=("a",), destination="/d"), "COPY \0 in /d ")
    cached = image((copy, LAYER))
    assert found(cached, copy, text="COPY file:x in /d ")
    assert not found(cached, copy, text="COPY file:y in /d ")


@pytest.mark.parametrize(
    "op",
    [
        RunCommand(argv=("/dev/pipes/EOF",), env=("PATH=/bin",), script=Document("EOF", "#!/bin/sh\nexit 1\n")),
        CopyFiles(sources=("a",), destination="/d", chmod=0o644),
        AddFiles(sources=("a",), destination="/d", chmod=0o644),
        AddFiles(sources=("a",), destination="/d", unpack=False),
        Scratch(),
    ],
)
def test_what_the_text_does_not_tell_all_of(op: Op) -> None:
    wanted = node(op, "text")
    assert not found(image((wanted, LAYER)), wanted)


def test_a_run_in_another_network() -> None:
    for network in ("none", "host"):
        assert ImportedCache([image((MAKE, LAYER))], network=network).find(MAKE, BASE, "make") is None
    copy = node(CopyFiles(sources=("a",), destination="/d"), "copy")
    assert ImportedCache([image((copy, LAYER))], network="none").find(copy, BASE, "copy") is not None
