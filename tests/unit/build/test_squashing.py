import io
from pathlib import Path

import msgspec
import pytest

from imagewright.build.squashing import squash, start_of
from imagewright.build.state import State, advance, start
from imagewright.dockerfile import parse
from imagewright.oci import Digest, Platform, encode_config, parse_config
from imagewright.plan import Configure, Node
from imagewright.plan import compile as compile_plan
from imagewright.store import Store
from support.builder import Member, archive

AMD64 = Platform("linux", "amd64")
NODE = Node(index=1, stage=0, op=Configure("RUN x"))


def stack(store: Store, below: State, *layers: dict[str, str | Member]) -> State:
    """Return `below` with a step for each of `layers`."""
    state = below
    for number, members in enumerate(layers, len(below.config.history or ())):
        diff_id = store.add_layer_stream(io.BytesIO(archive(members))) if members else None
        config = advance(state.config, NODE, created_ns=number * 10**9, diff_id=diff_id, created_by=f"step {number}")
        state = State(config, store.add_image(encode_config(config)))
    return state


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(str(tmp_path / "root"), clock=lambda: 0)


def test_many_layers_become_one(store: Store) -> None:
    base = stack(store, start(AMD64), {"kept": "1", "gone": "2"})
    result = stack(store, base, {"new": "3"}, {}, {".wh.gone": "", "new": "4", "d/f": "5"}, {"d/.wh.f": ""})
    image = squash(store, base, result)
    config = parse_config(store.get_image(image).config_bytes)
    assert config.diff_ids[:-1] == base.diff_ids
    assert store.tree(config.diff_ids) == store.tree(result.diff_ids)
    assert sorted(change.path for change in store.get_layer(config.diff_ids[-1]).changes) == ["d", "gone", "new"]
    comment = f"merge {result.image} to {base.image}"
    assert config.comment == comment
    history = [(entry.created_by, entry.empty_layer, entry.comment) for entry in config.history or ()]
    steps = [(f"step {number}", number > 0, "") for number in range(5)]
    assert history == [*steps, ("", False, comment)]
    assert config.created == (config.history or ())[-1].created == "1970-01-01T00:00:04Z"
    assert store.get_image(image).parent is None
    # The same again is the same again.
    assert squash(store, base, result) == image


def test_from_scratch(store: Store) -> None:
    result = stack(store, start(AMD64), {"a": "1"}, {"b": "2"})
    config = store.get_image(squash(store, start(AMD64), result)).config
    assert len(config.diff_ids) == 1
    assert config.comment == f"create new from {result.image}"


def test_nothing_to_merge(store: Store) -> None:
    base = stack(store, start(AMD64), {"a": "1"})
    config = store.get_image(squash(store, base, stack(store, base, {}, {"b": "1"}, {".wh.b": ""}))).config
    assert config.diff_ids == base.diff_ids
    assert [entry.empty_layer for entry in config.history or ()] == [False, True, True, True, True]


def test_no_image(store: Store) -> None:
    with pytest.raises(ValueError, match="no image"):
        squash(store, start(AMD64), start(AMD64))


def test_where_a_stage_begins() -> None:
    dockerfile = "FROM scratch AS a\nCOPY x /\nFROM a\nCOPY --from=a /x /y\nLABEL l=m\n"
    plan = compile_plan(
        parse(dockerfile.encode(), name="Dockerfile"),
        target="",
        build_args={},
        labels={},
        platform=AMD64,
        resolve=lambda _name, _platform, _place: pytest.fail("no image is needed"),
    )
    begin = start_of(plan, plan.target)
    assert plan.nodes[begin].stage == 1
    assert plan.nodes[begin].inputs
    assert start_of(plan, plan.nodes[begin].inputs[0]) == 0


def test_digests_are_of_what_is_kept(store: Store) -> None:
    base = stack(store, start(AMD64), {"a": "1"})
    image = squash(store, base, stack(store, base, {"b": "2"}))
    assert Digest.of(store.get_image(image).config_bytes) == image
    assert msgspec.json.decode(store.get_image(image).config_bytes)["os"] == "linux"
