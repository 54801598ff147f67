import dataclasses

import pytest

from imagewright.api.container_filters import Selection
from imagewright.engine import Container, ImageSummary
from imagewright.errors import InvalidInput, NotFound, Unsupported
from imagewright.oci import Digest
from unit.api.fake_engine import CREATED_NS, FakeEngine, digest


def container(number: int, image: str, exit_code: int, name: str) -> Container:
    return Container(
        id=f"{number}{'ab' * 31}c",
        image=digest(image),
        command=(),
        created_ns=CREATED_NS - number,
        exit_code=exit_code,
        name=name,
        diff_ids=(),
    )


NEWEST = container(1, "child", 0, "zen_wiles")
MIDDLE = container(2, "parent", 3, "clever_snyder")
OLDEST = container(3, "gone", 0, "hungry_driscoll")
CONTAINERS = (NEWEST, MIDDLE, OLDEST)


def images() -> dict[Digest, ImageSummary]:
    engine = FakeEngine()
    engine.add("x:1")
    (summary,) = engine.list()
    return {
        digest("parent"): dataclasses.replace(summary, id=digest("parent"), labels={"a": "b"}),
        digest("child"): dataclasses.replace(
            summary, id=digest("child"), parent=digest("parent"), labels={"a": "b", "x": "y"}
        ),
    }


def find_image(name: str) -> Digest:
    if name in {"parent", "child"}:
        return digest(name)
    raise InvalidInput(name) if name == "BAD" else NotFound(name)


def find_container(name: str) -> Container:
    for one in CONTAINERS:
        if one.name == name:
            return one
    raise NotFound(f"No such container: {name}")


def chosen(text: str) -> str:
    selected = Selection(text).choose(CONTAINERS, images(), find_image, find_container)
    return " ".join(one.id[0] for one in selected)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", "1 2 3"),
        ('{"id":["1ab"]}', "1"),
        ('{"id":["ab"]}', ""),
        ('{"name":["/clever"]}', "2"),
        ('{"name":["x","wiles"]}', "1"),
        ('{"name":["^/.*i"]}', "1 3"),
        ('{"name":["^hungry"]}', "3"),
        ('{"name":["cl.ver"]}', "2"),
        ('{"name":["["]}', ""),
        ('{"status":["exited","created"]}', "1 2 3"),
        ('{"status":["running"]}', ""),
        ('{"exited":["3"],"status":["exited"]}', "2"),
        ('{"exited":["+0","3"]}', "1 2 3"),
        ('{"label":["a"]}', "1 2"),
        ('{"label":["a=b","x"]}', "1"),
        ('{"label":["a=c"]}', ""),
        ('{"label":[]}', "1 2 3"),
        ('{"ancestor":["parent"]}', "1 2"),
        ('{"ancestor":["child","nope","BAD"]}', "1"),
        ('{"ancestor":["nope"]}', ""),
        ('{"before":["clever_snyder"]}', "3"),
        ('{"since":["clever_snyder"]}', "1"),
        ('{"since":["hungry_driscoll"],"before":["zen_wiles"]}', "2"),
        ('{"before":["hungry_driscoll"]}', ""),
        ('{"before":["hungry_driscoll","zen_wiles"]}', ""),
        ('{"health":["none"],"isolation":["x"],"is-task":["false"]}', "1 2 3"),
        ('{"health":["healthy"]}', ""),
        ('{"is-task":["true"]}', ""),
        ('{"volume":["x"]}', ""),
        ('{"expose":["70-90/tcp"]}', ""),
    ],
)
def test_selected(text: str, selected: str) -> None:
    assert chosen(text) == selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"foo":["x"]}', "Invalid filter 'foo'"),
        ('{"status":["bad"]}', "Invalid filter 'status=bad'"),
        ('{"health":["bad"]}', "Unrecognised filter value for health: bad"),
        ('{"is-task":["x"]}', "Invalid filter 'is-task=[x]'"),
        ('{"exited":["bad"]}', 'strconv.Atoi: parsing "bad": invalid syntax'),
        (
            '{"expose":["x/tcp"]}',
            'error while looking up for expose x/tcp: strconv.ParseUint: parsing "x": invalid syntax',
        ),
    ],
)
def test_bad_filters(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        Selection(text)
    assert str(raised.value) == message


def test_a_container_that_is_named_must_be_there() -> None:
    with pytest.raises(NotFound, match="No such container: nope"):
        chosen('{"since":["nope"]}')


@pytest.mark.parametrize("pattern", ["(a+)+$", "a*b*c*d*e*", "[a" * 200])
def test_patterns_that_could_take_long(pattern: str) -> None:
    with pytest.raises(Unsupported, match="name filter"):
        Selection(f'{{"name":["{pattern}"]}}')


def test_stopped_containers_are_shown_for_their_state_alone() -> None:
    assert Selection('{"status":["exited"]}').shows_stopped
    assert not Selection('{"status":[],"exited":["0"]}').shows_stopped
