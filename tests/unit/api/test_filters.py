import pytest

from imagewright.api.filters import Unused, image_query, parse_filters, unused
from imagewright.api.query import Query
from imagewright.api.versions import MAXIMUM, ApiVersion
from imagewright.engine import ImageQuery
from imagewright.errors import InvalidInput

NOW_NS = 1_700_000_000 * 10**9


def query(version: ApiVersion = MAXIMUM, **values: str) -> ImageQuery:
    return image_query(Query({name: (value,) for name, value in values.items()}), version, NOW_NS)


@pytest.mark.parametrize("text", ["", "{}", "null", " null "])
def test_no_filters(text: str) -> None:
    assert parse_filters(text) == {}


@pytest.mark.parametrize(
    "text",
    ['{"k":["v","w"],"e":[]}', '{"k":{"v":true,"w":true},"e":{}}', '{"k":{"v":false,"w":null},"e":null}'],
)
def test_both_forms_mean_the_same(text: str) -> None:
    assert parse_filters(text) == {"k": ("v", "w"), "e": ()}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "unexpected end of JSON input"),
        ("foo", "invalid character 'o' in literal false (expecting 'a')"),
        ("[]", "json: cannot unmarshal array into Go value of type map[string]map[string]bool"),
        ('"x"', "json: cannot unmarshal string into Go value of type map[string]map[string]bool"),
        ('{"dangling":"true"}', "json: cannot unmarshal string into Go value of type map[string]bool"),
        ('{"label":["k"]} x', "invalid character 'x' after top-level value"),
        ('{"label":["a"],"x":{"y":true}}', "json: cannot unmarshal array into Go value of type map[string]bool"),
        ('{"a":{"b":1}}', "json: cannot unmarshal number into Go value of type bool"),
    ],
)
def test_bad_filters(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_filters(text)
    assert str(raised.value) == message


def test_everything_goes_into_the_query() -> None:
    filters = (
        '{"label":["a","b=1"],"before":["x"],"since":["y"],"reference":["r*"],"dangling":["false"],"until":["10m"]}'
    )
    assert query(all="1", filters=filters) == ImageQuery(
        all=True,
        dangling=False,
        labels=("a", "b=1"),
        before=("x",),
        since=("y",),
        references=("r*",),
        until_ns=(NOW_NS - 600 * 10**9,),
    )
    assert query() == ImageQuery()


@pytest.mark.parametrize("name", ["foo", "id", "Dangling", "label!"])
def test_unknown_filters(name: str) -> None:
    with pytest.raises(InvalidInput, match=f"^Invalid filter '{name}'$"):
        query(filters=f'{{"{name}":["x"]}}')


@pytest.mark.parametrize(("values", "expected"), [('"true"', True), ('"1","true"', True), ('"0"', False)])
def test_dangling(values: str, expected: bool) -> None:
    assert query(filters=f'{{"dangling":[{values}]}}').dangling is expected


@pytest.mark.parametrize(
    ("values", "shown"), [('"t"', "t"), ('"true","false"', "false true"), ("", ""), ('"True"', "True"), ('""', "")]
)
def test_dangling_is_yes_or_no(values: str, shown: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        query(filters=f'{{"dangling":[{values}]}}')
    assert str(raised.value) == f"Invalid filter 'dangling=[{shown}]'"


def test_the_filter_parameter_is_for_old_clients() -> None:
    filters = '{"reference":["a"]}'
    assert query(ApiVersion((1, 24)), filter="b", filters=filters).references == ("a", "b")
    assert query(ApiVersion((1, 40)), filter="b").references == ("b",)
    assert query(ApiVersion((1, 40))).references == ()
    assert query(ApiVersion((1, 41)), filter="b").references == ()


def test_images_that_nobody_used() -> None:
    assert query(filters='{"unused-for":["168h","1h30m"]}').unused_for_ns == 168 * 3600 * 10**9
    assert query(filters='{"unused-for":[]}').unused_for_ns is None


@pytest.mark.parametrize("text", ["7d", "-1h", "", "168"])
def test_what_is_no_time_of_not_being_used(text: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        query(filters=f'{{"unused-for":["{text}"]}}')
    assert str(raised.value) == f"Invalid filter 'unused-for=[{text}]'"


def which(filters: str) -> Unused:
    return unused(Query({"filters": (filters,)}), NOW_NS)


def test_what_is_pruned() -> None:
    assert which("") == Unused(dangling=True, labels=(), unlabelled=(), until_ns=None, unused_for_ns=None)
    filters = '{"dangling":{"0":true},"label":{"a":true},"label!":{"b=c":true},"until":["1h"],"unused-for":["2h"]}'
    assert which(filters.replace('["1h"]', '{"1h":true}').replace('["2h"]', '{"2h":true}')) == Unused(
        dangling=False,
        labels=("a",),
        unlabelled=("b=c",),
        until_ns=NOW_NS - 3600 * 10**9,
        unused_for_ns=7200 * 10**9,
    )


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ('{"reference":["x"]}', "Invalid filter 'reference'"),
        ('{"dangling":["x"]}', "Invalid filter 'dangling=[x]'"),
        ('{"until":["1h","2h"]}', "more than one until filter specified"),
        ('{"until":["x"]}', 'failed to parse value as time or duration: "x"'),
    ],
)
def test_what_cannot_be_pruned(filters: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        which(filters)
    assert str(raised.value) == message
