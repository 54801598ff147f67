import os
import sqlite3
from pathlib import Path

import pytest

from imagewright.errors import Conflict, InvalidInput, NotFound, SystemFailure
from imagewright.oci import Digest
from imagewright.store import Container, KeptMount, Process, Store
from unit.store.seeding import Seed


def test_containers_are_found_by_id_name_and_prefix(seed: Seed, store: Store) -> None:
    image = seed.image("x:1", layers=[seed.layer("a")])
    first, second = seed.container(image, "happy"), seed.container(image)
    assert store.list_containers() == [second, first]
    for name in (first.id, first.id[:12], "happy", "/happy"):
        assert store.get_container(name) == first
    assert store.get_container(second.name) == second
    for name in ("nope", "", "zz"):
        with pytest.raises(NotFound, match=f"^No such container: {name}$"):
            store.get_container(name)


def test_an_ambiguous_prefix(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    for number in range(2):
        container = Container(
            id=f"ab{number}" + "0" * 61, image=image, command=(), created_ns=1, exit_code=3, name=f"n{number}"
        )
        store.add_container(container)
    with pytest.raises(InvalidInput, match=r"^multiple IDs found with provided prefix: ab$"):
        store.get_container("ab")
    assert store.get_container("ab1").exit_code == 3


def test_ids_and_names_are_taken_once(seed: Seed, store: Store) -> None:
    container = seed.container(seed.image("x:1"), "happy")
    with pytest.raises(Conflict, match='name "/happy" is already in use'):
        seed.container(container.image, "happy")
    with pytest.raises(Conflict):
        store.add_container(container)
    with pytest.raises(NotFound, match="No such image"):
        seed.container(Digest.of(b"no image"))


def test_a_log_goes_with_a_transaction_that_fails(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    container = Container(id="ab" * 32, image=image, command=(), created_ns=1, exit_code=3, name="n")
    with sqlite3.connect(f"{seed.root}/db.sqlite") as database:
        database.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON summaries BEGIN SELECT RAISE(ABORT, 'the disk is full'); END"
        )
    with store.scratch() as scratch:
        log = Path(scratch, "log")
        log.write_bytes(b"x")
        with pytest.raises(SystemFailure, match="the disk is full"):
            store.add_container(container, log=str(log))
        assert os.listdir(f"{seed.root}/logs") == []
        database.execute("DROP TRIGGER full")
        log.write_bytes(b"y")
        store.add_container(container, log=str(log))
        with pytest.raises(Conflict):
            store.add_container(container, log=str(log))
    database.close()
    assert os.listdir(f"{seed.root}/logs") == [container.id]


def test_containers_are_counted_and_removed(seed: Seed, store: Store) -> None:
    image = seed.image("x:1")
    container = seed.container(image)
    seed.container(image)
    assert store.list_images()[0].containers == 2
    store.remove_container(container.name)
    assert store.list_images()[0].containers == 1
    with pytest.raises(NotFound):
        store.remove_container(container.id)


def test_a_container_holds_layers_until_it_goes(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")
    container = seed.container(seed.image("x:1", layers=[diff_id]))
    store.remove_image("x:1", force=True)
    assert store.has_layer(diff_id)
    assert seed.reopen().has_layer(diff_id)
    assert seed.store.list_containers() == [container]
    assert seed.store.get_container(container.id).size_root == container.size_root > 0
    seed.store.remove_container(container.id)
    assert not seed.store.has_layer(diff_id)


def test_how_a_process_was_started_is_told_to_the_last_mount(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")
    mounts = (
        KeptMount(kind="bind", target="/b", source="d", layers=(diff_id,)),
        KeptMount(kind="bind", target="/scratch", layers=()),
        KeptMount(kind="bind", target="/context"),
        KeptMount(kind="cache", target="/c", id="c", key="c\0005", sharing="locked", readonly=False, uid=5, mode=0o700),
        KeptMount(kind="secret", target="", id="token", env="TOKEN\udcff"),
    )
    process = Process(
        env=(), user="", workdir="/", network="none", mounts=mounts, insecure=True, surroundings={"limits": {"pids": 7}}
    )
    image = seed.image("x:1")
    store.add_container(
        Container(id="ab" * 32, image=image, command=(), created_ns=1, exit_code=3, name="n", process=process)
    )
    assert store.get_container("n").process == process
    assert seed.reopen().get_container("n").process == process


def test_a_process_that_was_kept_before_mounts_were(seed: Seed, store: Store) -> None:
    process = Process(env=("A=1",), user="u", workdir="/w", network="host")
    image = seed.image("x:1")
    store.add_container(
        Container(id="ab" * 32, image=image, command=(), created_ns=1, exit_code=3, name="n", process=process)
    )
    store.close()
    with sqlite3.connect(f"{seed.root}/db.sqlite") as database:
        database.execute(
            "UPDATE containers SET process = json_remove(process, '$.mounts', '$.insecure', '$.surroundings')"
        )
        assert "mounts" not in database.execute("SELECT process FROM containers").fetchone()[0]
    database.close()
    assert seed.reopen().get_container("n").process == process
