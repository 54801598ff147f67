import dataclasses

from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.engine import Happening


def test_error_messages_have_a_code_for_runs_only() -> None:
    assert encode(wire.error_message("M", 3)) == b'{"errorDetail":{"code":3,"message":"M"},"error":"M"}'
    assert encode(wire.error_message("M")) == b'{"errorDetail":{"message":"M"},"error":"M"}'


TAGGED = Happening(
    type="image", action="tag", id="sha256:1", attributes={"name": "t:1", "a": "<b>"}, time_ns=1795539435732055258
)
REST = '"scope":"local","time":1795539435,"timeNano":1795539435732055258}'


def test_events_of_images() -> None:
    assert encode(wire.event_message(TAGGED), html=True).decode() == (
        '{"status":"tag","id":"sha256:1","Type":"image","Action":"tag",'
        r'"Actor":{"ID":"sha256:1","Attributes":{"a":"\u003cb\u003e","name":"t:1"}},' + REST
    )
    pruned = dataclasses.replace(TAGGED, action="prune", id="", attributes={"reclaimed": "0"})
    assert encode(wire.event_message(pruned)).decode() == (
        '{"status":"prune","Type":"image","Action":"prune","Actor":{"ID":"","Attributes":{"reclaimed":"0"}},' + REST
    )


def test_events_of_containers() -> None:
    attributes = {"image": "sha256:2", "name": "loving_jang"}
    commit = dataclasses.replace(TAGGED, type="container", action="commit", id="1a07", attributes=attributes)
    assert encode(wire.event_message(commit)).decode() == (
        '{"status":"commit","id":"1a07","from":"sha256:2","Type":"container","Action":"commit",'
        '"Actor":{"ID":"1a07","Attributes":{"image":"sha256:2","name":"loving_jang"}},' + REST
    )
    bare = wire.event_message(dataclasses.replace(commit, attributes={}))
    assert "from" not in bare


def test_events_of_the_builder() -> None:
    pruned = dataclasses.replace(TAGGED, type="builder", action="prune", id="", attributes={"reclaimed": "0"})
    assert encode(wire.event_message(pruned)).decode() == (
        '{"Type":"builder","Action":"prune","Actor":{"ID":"","Attributes":{"reclaimed":"0"}},' + REST
    )
