import pytest

from imagewright.api.event_filters import EventSelection
from imagewright.engine import Happening
from imagewright.errors import InvalidInput
from unit.api.fake_engine import CREATED_NS, digest

IMAGE = Happening(
    type="image", action="tag", id=str(digest("i")), attributes={"a": "b", "name": "c:1"}, time_ns=CREATED_NS
)
CONTAINER = Happening(
    type="container",
    action="commit",
    id="ab" * 32,
    attributes={"image": "reg.example/x:1", "name": "gifted_lehmann"},
    time_ns=CREATED_NS,
)
PRUNE = Happening(type="builder", action="prune", id="", attributes={"reclaimed": "0"}, time_ns=CREATED_NS)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", "image container builder"),
        ('{"foo":["x"]}', "image container builder"),
        ('{"type":[]}', "image container builder"),
        ('{"type":["image","builder"]}', "image builder"),
        ('{"event":["tag","commit"]}', "image container"),
        ('{"event":["ta"]}', ""),
        ('{"event":["ta","health_status"]}', "image"),
        ('{"scope":["local"]}', "image container builder"),
        ('{"scope":["swarm"]}', ""),
        ('{"image":["c"]}', "image"),
        ('{"image":["c:1"]}', "image"),
        (f'{{"image":["{digest("i")}"]}}', "image"),
        ('{"image":["reg.example/x"]}', "container"),
        ('{"image":["x"]}', ""),
        ('{"container":["gifted"]}', "container"),
        ('{"container":["abab"]}', "container"),
        ('{"container":["c:"]}', "image"),
        ('{"network":["x"]}', ""),
        ('{"label":["a"]}', "image"),
        ('{"label":["a=b"]}', "image"),
        ('{"label":["a=c"]}', ""),
        ('{"type":["image"],"event":["commit"]}', ""),
    ],
)
def test_selected(text: str, selected: str) -> None:
    selection = EventSelection(text)
    assert " ".join(one.type for one in (IMAGE, CONTAINER, PRUNE) if selection.admits(one)) == selected


def test_bad_filters() -> None:
    with pytest.raises(InvalidInput, match="unexpected end of JSON input"):
        EventSelection("{")
