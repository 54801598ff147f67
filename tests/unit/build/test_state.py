from imagewright.build.state import advance, start
from imagewright.oci import Digest, Platform, RunConfig
from imagewright.plan import Configure, Node

_NODE = Node(index=1, stage=0, op=Configure("ENV A=1"), config=RunConfig(env=("A=1",)), author="me")


def test_scratch_is_no_image() -> None:
    state = start(Platform("linux", "arm", "v7"))
    assert (state.image, state.diff_ids) == (None, ())
    assert (state.config.os, state.config.architecture, state.config.variant) == ("linux", "arm", "v7")


def test_a_step_without_a_layer_adds_history_only() -> None:
    config = advance(start(Platform("linux", "amd64")).config, _NODE, created_ns=1, diff_id=None, created_by="text")
    (entry,) = config.history or ()
    assert (entry.created_by, entry.empty_layer, entry.author) == ("text", True, "me")
    assert config.created == entry.created == "1970-01-01T00:00:00.000000001Z"
    assert config.config == RunConfig(env=("A=1",))
    assert config.diff_ids == ()


def test_a_step_with_a_layer_stacks_it() -> None:
    first, second = Digest.of(b"1"), Digest.of(b"2")
    config = start(Platform("linux", "amd64")).config
    for diff_id in (first, second):
        config = advance(config, _NODE, created_ns=0, diff_id=diff_id, created_by="")
    assert config.diff_ids == (first, second)
    assert [entry.empty_layer for entry in config.history or ()] == [False, False]
