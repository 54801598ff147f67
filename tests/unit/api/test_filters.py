import pytest

from imagewright.api.filters import container_filter, image_query, parse_filters, parse_timestamp
from imagewright.api.query import Query
from imagewright.api.versions import MAXIMUM, ApiVersion
from imagewright.engine import Container, ImageQuery
from imagewright.errors import InvalidInput, Unsupported
from unit.api.fake_engine import CREATED_NS, digest

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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", 1_700_000_000 - 600),
        ("1h30m", 1_700_000_000 - 5400),
        ("-1.5h", 1_700_000_000 + 5400),
        ("1500ms", 1_699_999_998.5),
        ("1700000000", 1_700_000_000),
        ("1700000000.5", 1_700_000_000.5),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("2023-11-14T23:13:20.5+01:00", 1_700_000_000.5),
        ("2023-11-14T22:13:20", 1_700_000_000),
        ("2023-11-14T22:13", 1_699_999_980),
        ("2023-11-14T22", 1_699_999_200),
        ("2023-11-14", 1_699_920_000),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_timestamp(text, NOW_NS) == int(seconds * 10) * 10**8


@pytest.mark.parametrize("text", ["", "yesterday", "10x", "2023-13-01", "2023-11-14T25", "1" * 40])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_timestamp(text, NOW_NS)


CONTAINER = Container(
    id="ab" * 32, image=digest("i"), command=(), created_ns=CREATED_NS, exit_code=3, name="gifted_lehmann"
)


@pytest.mark.parametrize(
    ("text", "selected"),
    [
        ("", True),
        ('{"id":["abab"]}', True),
        ('{"id":["ba"]}', False),
        ('{"name":["/gifted"]}', True),
        ('{"name":["x","lehmann"]}', True),
        ('{"status":["exited"]}', True),
        ('{"status":["running"]}', False),
        ('{"exited":["3"],"status":["exited"]}', True),
        ('{"exited":["0"]}', False),
        ('{"label":["a"]}', False),
        ('{"label":[]}', True),
    ],
)
def test_containers_are_selected(text: str, selected: bool) -> None:
    assert container_filter(text)(CONTAINER) is selected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"foo":["x"]}', "Invalid filter 'foo'"),
        ('{"status":["bad"]}', "Invalid filter 'status=bad'"),
        ('{"exited":["bad"]}', 'strconv.Atoi: parsing "bad": invalid syntax'),
    ],
)
def test_bad_container_filters(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        container_filter(text)
    assert str(raised.value) == message


def test_container_filters_that_are_not_there_yet() -> None:
    with pytest.raises(Unsupported, match="container filter ancestor is not supported yet"):
        container_filter('{"ancestor":["x"]}')
