import pytest

from imagewright.api.query import Query, Target
from imagewright.errors import InvalidInput


def test_values_are_taken_in_order_and_the_first_counts() -> None:
    query = Query.parse("t=a&t=b&x=1+2%2F&=y&empty=&flag&&%C3%A9=%FF")
    assert query.get_all("t") == ("a", "b")
    assert query.get("t") == "a"
    assert query.get("x") == "1 2/"
    assert query.get("flag") == query.get("empty") == query.get("nothing") == ""
    assert query.get("é") == "\udcff"
    assert query.get_all("nothing") == ()
    assert not query.error
    query.check()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a=%zz&b=1", 'invalid URL escape "%zz"'),
        ("a=%z&b=1", 'invalid URL escape "%z"'),
        ("b=1&%", 'invalid URL escape "%"'),
        ("a;c=1&b=1&x=%zz", "invalid semicolon separator in query"),
        ('a=%"&b=1', 'invalid URL escape "%\\""'),
    ],
)
def test_what_can_be_read_is_there_despite_an_error(text: str, error: str) -> None:
    query = Query.parse(text)
    assert query.get("b") == "1"
    assert query.error == error
    with pytest.raises(InvalidInput):
        query.check()


@pytest.mark.parametrize("value", ["", "0", "no", "false", "none", "False", " NO ", "NoNe"])
def test_some_words_mean_no(value: str) -> None:
    assert not Query({"x": (value,)}).boolean("x")


@pytest.mark.parametrize("value", ["1", "t", "f", "n", "off", "null", "2", "-1", "True"])
def test_all_others_mean_yes(value: str) -> None:
    assert Query({"x": (value,)}).boolean("x")


def test_the_first_of_several_booleans_counts() -> None:
    assert not Query.parse("all=0&all=1").boolean("all")
    assert not Query.parse("ALL=1").boolean("all")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-1", -1), ("+5", 5), ("9223372036854775807", 2**63 - 1)])
def test_integers(text: str, value: int) -> None:
    assert Query({"n": (text,)}).integer("n") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", 'strconv.ParseInt: parsing "abc": invalid syntax'),
        ("1.5", 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        ("", 'strconv.ParseInt: parsing "": invalid syntax'),
        ("9223372036854775808", 'strconv.ParseInt: parsing "9223372036854775808": value out of range'),
        ("1" * 30, f'strconv.ParseInt: parsing "{"1" * 30}": value out of range'),
    ],
)
def test_what_is_no_integer(text: str, message: str) -> None:
    query = Query({"n": (text,)})
    with pytest.raises(InvalidInput) as raised:
        query.integer("n")
    assert str(raised.value) == message
    assert query.integer_or_zero("n") == 0


@pytest.mark.parametrize(
    ("text", "path", "query"),
    [
        ("/images/json?all=1", "/images/json", "all=1"),
        ("/images/sha256%3Aab/json", "/images/sha256:ab/json", ""),
        ("http://docker/v1.41/_ping?x", "/v1.41/_ping", "x"),
        ("http://docker", "/", ""),
        ("/a?b?c", "/a", "b?c"),
    ],
)
def test_targets(text: str, path: str, query: str) -> None:
    assert Target.parse(text) == Target(path, query)


def test_a_bad_escape_in_a_path() -> None:
    with pytest.raises(InvalidInput, match='invalid URL escape "%zz"'):
        Target.parse("/images/%zz/json?x=%yy")


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("/images/json", None),
        ("/images/json/", None),
        ("/", None),
        ("/images//json", "/images/json"),
        ("//images/json", "/images/json"),
        ("/images/x%2F%2Fy/json?a=1", "/images/x/y/json?a=1"),
        ("/images/../version", "/version"),
        ("/a/./b/", "/a/b/"),
        ("/images/a b//", "/images/a%20b/"),
        ("/..", "/"),
    ],
)
def test_paths_are_cleaned(text: str, location: str | None) -> None:
    assert Target.parse(text).clean_location == location
