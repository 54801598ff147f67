"""What dockerd 20.10.24 makes of an intermediate container."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.engine.committing import commit_container
from imagewright.errors import InvalidInput, NotFound
from imagewright.filesystem import Directory, Layer, Put
from imagewright.oci import Digest, Healthcheck, History, ImageConfig, RunConfig, encode_config
from imagewright.reference import Reference
from imagewright.store import Container, Store

BASE = ImageConfig(
    architecture="arm64",
    os="linux",
    author="somebody",
    config=RunConfig(
        env=("A=1",),
        entrypoint=("/e",),
        cmd=("c",),
        healthcheck=Healthcheck(test=("CMD", "true")),
        labels={"a": "1"},
        on_build=("RUN true",),
        user="5",
    ),
    history=(History(created_by="base"),),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(f"{tmp_path}/root", clock=lambda: 5_000_000_000) as store:
        yield store


def container(store: Store, *command: str, layer: Layer | None = None) -> Container:
    image = store.add_image(encode_config(BASE))
    with store.lease():
        diff_ids = () if layer is None else (store.add_layer(layer),)
        identity = os.urandom(32).hex()
        store.add_container(
            Container(id=identity, image=image, command=command, created_ns=1, exit_code=3, name="n", diff_ids=diff_ids)
        )
    return store.get_container(identity)


def commit(
    store: Store, found: Container, *names: str, changes: tuple[str, ...] = (), message: str = "", author: str = ""
) -> Digest:
    return commit_container(
        store,
        found,
        references=tuple(Reference.parse(name) for name in names),
        changes=changes,
        message=message,
        author=author,
        clock=lambda: 9_000_000_000,
    )


def test_what_a_failed_run_wrote_is_a_layer(store: Store) -> None:
    found = container(store, "/bin/sh", "-c", "exit 3", layer=Layer((Put("d", Directory(mode=0o700)),)))
    image = store.get_image(commit(store, found, "saved:1", message="why", author="me"))
    assert image.tags == (Reference.parse("saved:1"),)
    assert image.parent == found.image
    config = image.config
    assert config.diff_ids == found.diff_ids
    assert (config.author, config.comment, config.architecture) == ("me", "why", "arm64")
    assert config.created == "1970-01-01T00:00:09Z"
    assert config.history == (
        History(created_by="base"),
        History(created="1970-01-01T00:00:09Z", created_by="/bin/sh -c exit 3", author="me", comment="why"),
    )
    assert config.run == RunConfig(
        env=("A=1",),
        cmd=("/bin/sh", "-c", "exit 3"),
        healthcheck=Healthcheck(test=("NONE",)),
        labels={"a": "1"},
        user="5",
    )


def test_a_container_that_changed_nothing_adds_no_layer(store: Store) -> None:
    found = container(store, "/bin/sh", "-c", "#(nop) ENV A=2")
    config = store.get_image(commit(store, found)).config
    assert config.diff_ids == ()
    assert config.history is not None
    assert config.history[-1].empty_layer
    assert config.author == ""
    assert (config.run.entrypoint, config.run.healthcheck) == (("/e",), Healthcheck(test=("CMD", "true")))


def test_changes(store: Store) -> None:
    found = container(store, "/bin/sh", "-c", "exit 3")
    run = store.get_image(commit(store, found, changes=("CMD one two", 'LABEL b="2"', "ENV C=$A"))).config.run
    assert run.cmd == ("/bin/sh", "-c", "one two")
    assert run.labels == {"a": "1", "b": "2"}
    assert run.env == ("A=1", "C=1")
    with pytest.raises(InvalidInput, match="run is not a valid change command"):
        commit(store, found, changes=("RUN true",))


def test_without_its_image_there_is_nothing_to_build_on(store: Store) -> None:
    found = container(store, "true", layer=Layer((Put("d", Directory(mode=0o700)),)))
    store.remove_image(str(found.image), force=True)
    with pytest.raises(NotFound, match="No such image"):
        commit(store, found)
    store.remove_container(found.id)
    assert not store.has_layer(found.diff_ids[0])
    assert store.list_images() == []
