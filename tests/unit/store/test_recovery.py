import os
import shutil
from dataclasses import replace

import pytest
from sqlalchemy import update

from imagewright.errors import NotFound
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store import Container, Record, Store, schema
from unit.store.seeding import Seed


def test_what_the_database_does_not_know_goes(seed: Seed, store: Store) -> None:
    kept = seed.layer("kept")
    seed.image("x:1", layers=[kept])
    stray = Digest.of(b"stray").encoded
    with store.scratch() as scratch:
        shutil.copytree(f"{seed.root}/layers/{kept.encoded}", f"{seed.root}/layers/{stray}")
        shutil.copy(f"{seed.root}/blobs/sha256/{kept.encoded}", f"{seed.root}/blobs/sha256/{stray}")
        os.makedirs(f"{scratch}/half/done")
        os.mkdir(f"{seed.root}/ingest/left")
        seed.reopen()
        assert os.listdir(f"{seed.root}/ingest") == []
        assert os.listdir(f"{seed.root}/layers") == os.listdir(f"{seed.root}/blobs/sha256") == [kept.encoded]
        assert seed.store.lost == ()


def test_what_nobody_holds_goes(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")
    store.put_record(diff_id, Record(diff_id=diff_id, created_ns=1))
    store = seed.reopen()
    assert not store.has_layer(diff_id)
    assert store.find_record(diff_id) is None
    assert os.listdir(f"{seed.root}/layers") == os.listdir(f"{seed.root}/blobs/sha256") == []


@pytest.mark.parametrize("damage", ["index", "blob", "short blob", "captured"])
def test_images_that_lost_a_layer_are_given_up(seed: Seed, store: Store, damage: str) -> None:
    with store.lease():
        low, high = seed.layer("low"), store.add_layer_directory(*seed.captured("high"), below=[])
        base = seed.image("base:1", layers=[low])
        child = seed.image("child:1", "child:2", layers=[low, high], parent=base)
        other = seed.image("other:1", parent=child)
    seed.container(child)
    store.put_record(high, Record(diff_id=high, created_ns=1))
    lost = high if damage in {"index", "captured"} else low
    if damage == "index":
        os.remove(f"{seed.root}/layers/{high.encoded}/index")
    elif damage == "captured":
        shutil.rmtree(f"{seed.root}/layers/{high.encoded}/fs")
    elif damage == "blob":
        os.remove(f"{seed.root}/blobs/sha256/{low.encoded}")
    else:
        os.truncate(f"{seed.root}/blobs/sha256/{low.encoded}", 0)
    generation = store.generation
    store = seed.reopen()
    assert store.generation > generation
    assert store.lost[0] == f"layer {lost} is damaged"
    assert any("docker.io/library/child:1, docker.io/library/child:2" in line for line in store.lost)
    assert store.find_record(high) is None
    assert store.list_containers() == []
    assert store.find_reference(Reference.parse("child:1")) is None
    with pytest.raises(NotFound):
        store.get_image(child)
    assert store.get_image(other).parent is None
    assert store.image_count() == (2 if lost == high else 1)
    assert seed.reopen().lost == ()


def test_a_container_that_lost_what_it_wrote_is_given_up_alone(seed: Seed, store: Store) -> None:
    with store.lease():
        low, high = seed.layer("low", b"123"), store.add_layer_directory(*seed.captured("high"), below=[])
        image = seed.image("x:1", layers=[low])
        seed.image("y:1", layers=[low])
        container = Container(
            id="1" * 64, image=image, command=(), created_ns=1, exit_code=1, name="n", diff_ids=(low, high)
        )
        store.add_container(container)
    found = store.get_container("n")
    assert (found, found.size_rw, found.size_root) == (container, 1, 4)
    shutil.rmtree(f"{seed.root}/layers/{high.encoded}")
    before = store.list_images()
    store = seed.reopen()
    assert store.lost == (f"layer {high} is damaged", f"container {container.id} is gone with it")
    assert store.list_containers() == []
    assert store.list_images() == [replace(summary, containers=0) for summary in before]
    assert [summary.shared_size for summary in store.list_images()] == [3, 3]


def test_a_lost_layer_is_shared_no_more(seed: Seed, store: Store) -> None:
    with store.lease():
        low, high = seed.layer("low", b"123"), seed.layer("high", b"12345")
        kept = seed.image("x:1", layers=[low])
        seed.image("y:1", layers=[low, high])
    assert [store.list_images()[0].shared_size, store.disk_usage().layers_size] == [3, 8]
    os.remove(f"{seed.root}/blobs/sha256/{high.encoded}")
    [summary] = seed.reopen().list_images()
    assert (summary.id, summary.shared_size, summary.unique_size) == (kept, 0, 3)
    assert seed.store.disk_usage().layers_size == 3


def test_directories_from_before_the_machine_was_started_are_made_again(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")
    captured = store.add_layer_directory(*seed.captured("b"), below=[])
    seed.image("x:1", layers=[diff_id, captured])
    calls = []
    path = store.layer_directory(diff_id, [], lambda _layer, directory, _parent: calls.append(directory))
    old = f"{os.path.dirname(path)}/unpacked-{'0' * 32}"
    os.mkdir(old)
    seed.reopen()
    assert os.path.isdir(old)
    with seed.store._database.write(durable=False) as connection:
        connection.execute(update(schema.properties).where(schema.properties.c.name == "boot").values(value=1))
    seed.reopen()
    assert not os.path.isdir(old)
    assert os.path.isdir(path)
    assert os.path.isdir(seed.store.layer_directory(captured, [], lambda *_: None))
