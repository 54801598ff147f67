from urllib.parse import quote

import pytest

from imagewright.api.build_outputs import Output, parse_output
from imagewright.api.query import Query
from imagewright.api.versions import MAXIMUM, ApiVersion
from imagewright.errors import InvalidInput, Unsupported
from imagewright.reference import Reference


def output(text: str, version: ApiVersion = MAXIMUM) -> Output:
    return parse_output(Query.parse(f"outputs={quote(text)}"), version)


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "[null]", "[{}]", '[{"Type":"image"}]', '[{"Type":"moby","Attrs":{"name":""}}]']
)
def test_an_image(text: str) -> None:
    assert output(text) == Output()


def test_names_of_an_image() -> None:
    tags = (Reference.parse("a:latest"), Reference.parse("b/c:2"))
    assert output('[{"Type":"image","Attrs":{"name":"a,b/c:2"}}]') == Output(tags=tags)


@pytest.mark.parametrize("text", ['[{"Type":"tar"}]', '[{"type":"local","attrs":{"dest":"somewhere"}}]'])
def test_files(text: str) -> None:
    assert output(text) == Output(files=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "invalid character 'x' looking for beginning of value"),
        ("{}", "json: cannot unmarshal object into Go value of type []types.ImageBuildOutput"),
        ("[3]", "json: cannot unmarshal number into Go value of type types.ImageBuildOutput"),
        ('[{"Type":3}]', "json: cannot unmarshal number into Go struct field ImageBuildOutput.Type of type string"),
        (
            '[{"Attrs":[]}]',
            "json: cannot unmarshal array into Go struct field ImageBuildOutput.Attrs of type map[string]string",
        ),
        (
            '[{"Attrs":{"a":1}}]',
            "json: cannot unmarshal number into Go struct field ImageBuildOutput.Attrs of type string",
        ),
        ('[{"Type":"zzz"}]', 'exporter "zzz" could not be found'),
        ('[{"Type":"tar"},{"Type":"tar"}]', "multiple outputs not supported"),
        ('[{"Attrs":{"name":"UPPER"}}]', "invalid reference format: repository name must be lowercase"),
        ("[" * 100_000, "exceeded max depth"),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        output(text)
    assert str(raised.value) == f"outputs: {message}"


def test_what_is_not_here() -> None:
    with pytest.raises(Unsupported, match=r'outputs: the attribute "push" of the type "image" is not supported'):
        output('[{"Type":"image","Attrs":{"push":"true"}}]')


def test_old_clients() -> None:
    assert output("x", ApiVersion((1, 39))) == Output()
    with pytest.raises(InvalidInput):
        output("x", ApiVersion((1, 40)))
