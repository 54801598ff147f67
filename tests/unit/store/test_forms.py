import os
import threading

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, NotFound
from imagewright.filesystem import Directory, Layer, Put, Tree
from imagewright.oci import Digest, chain_id
from imagewright.store import Store
from unit.store.seeding import Seed


class Unpacker:
    """Writes down what it was asked to unpack, and what the directory was like."""

    def __init__(self) -> None:
        self.parents: list[Tree] = []

    def __call__(self, layer: Layer, directory: str, parent: Tree) -> None:
        assert os.listdir(directory) == []
        for change in layer.changes:
            os.makedirs(f"{directory}/{change.path}")
        self.parents.append(parent)


def test_a_directory_is_made_once(seed: Seed, store: Store) -> None:
    unpack = Unpacker()
    low, high = seed.layer("a"), seed.layer("b")
    path = store.layer_directory(high, [low], unpack)
    assert os.listdir(f"{path}/etc") == ["b"]
    assert store.layer_directory(high, [low], unpack) == store.layer_directory(high, [], unpack) == path
    assert unpack.parents == [store.tree([low])]
    assert path.startswith(f"{seed.root}/layers/{high.encoded}/")


def test_a_captured_directory_is_used_where_it_was_captured(seed: Seed, store: Store) -> None:
    unpack = Unpacker()
    low, other = seed.layer("low"), seed.layer("other")
    diff_id = store.add_layer_directory(*seed.captured("a"), below=[low])
    seed.image("x:1", layers=[low, other, diff_id])
    for reopened in (False, True):
        opened = seed.reopen() if reopened else store
        assert opened.layer_directory(diff_id, [low], unpack) == f"{seed.root}/layers/{diff_id.encoded}/fs"
    assert unpack.parents == []
    # On others it would show what was copied up from the stack below it.
    path = seed.store.layer_directory(diff_id, [other], unpack)
    assert path == seed.store.layer_directory(diff_id, [], unpack) != f"{seed.root}/layers/{diff_id.encoded}/fs"
    assert len(unpack.parents) == 1


def test_a_layer_without_its_parents_has_a_directory_for_each_stack(seed: Seed, store: Store) -> None:
    unpack = Unpacker()
    low, other = seed.layer("a"), seed.layer("b")
    diff_id = store.add_layer(Layer((Put("etc/x", Directory(mode=0o755)),)))
    stacks: list[list[Digest]] = [[], [low], [other], [low, other]]
    paths = {store.layer_directory(diff_id, below, unpack) for below in stacks * 2}
    assert len(paths) == len(unpack.parents) == 4
    assert any(path.endswith(f"-{chain_id([low, other])}".replace("sha256:", "")) for path in paths)


def test_what_fails_leaves_nothing_and_can_be_tried_again(seed: Seed, store: Store) -> None:
    diff_id = seed.layer("a")

    def fail(_layer: Layer, directory: str, _parent: Tree) -> None:
        os.mkdir(f"{directory}/half")
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        store.layer_directory(diff_id, [], fail)
    assert os.listdir(f"{seed.root}/ingest") == []
    assert os.listdir(store.layer_directory(diff_id, [], Unpacker())) == ["etc"]


def test_many_ask_at_once(seed: Seed, store: Store) -> None:
    unpack = Unpacker()
    diff_id = seed.layer("a")
    paths: list[str] = []
    threads = [
        threading.Thread(target=lambda: paths.append(store.layer_directory(diff_id, [], unpack))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 8
    assert len(set(paths)) == len(unpack.parents) == 1


def test_directories_survive_this_process(seed: Seed, store: Store) -> None:
    unpack = Unpacker()
    diff_id = seed.layer("a")
    seed.image("x:1", layers=[diff_id])
    path = store.layer_directory(diff_id, [], unpack)
    assert seed.reopen().layer_directory(diff_id, [], unpack) == path
    assert len(unpack.parents) == 1


def test_an_unknown_layer(store: Store) -> None:
    with pytest.raises(NotFound):
        store.layer_directory(Digest.of(b"unknown"), [], Unpacker())


def test_whoever_waits_for_another_can_be_cancelled(seed: Seed, store: Store) -> None:
    diff_id, making, go = seed.layer("a"), threading.Event(), threading.Event()
    with store.lease():

        def unpack(_layer: Layer, directory: str, _parent: Tree) -> None:
            making.set()
            assert go.wait(10)
            os.mkdir(f"{directory}/made")

        paths: list[str] = []
        thread = threading.Thread(target=lambda: paths.append(store.layer_directory(diff_id, [], unpack)))
        thread.start()
        assert making.wait(10)
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(Cancelled):
            store.layer_directory(diff_id, [], unpack, cancellation=cancellation)
        go.set()
        thread.join(10)
        assert os.listdir(paths[0]) == ["made"]


def test_layers_that_are_not_wanted_any_more(seed: Seed, store: Store) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        store.add_layer(seed.value("a"), cancellation=cancellation)
    layer, directory = seed.captured("b")
    with pytest.raises(Cancelled):
        store.add_layer_directory(layer, directory, below=[], cancellation=cancellation)
    assert os.path.isdir(directory)
    assert os.listdir(f"{seed.root}/layers") == []
