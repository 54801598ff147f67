import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.api.go_json import decode
from imagewright.errors import InvalidInput

BEGINNING = "looking for beginning of value"


# What dockerd 20.10 answered to the same text, where it was asked.
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ("{", "unexpected end of JSON input"),
        ('{"a', "unexpected end of JSON input"),
        ('{"a\\', "invalid character ' ' in string escape code"),
        ('{"a":1', "unexpected end of JSON input"),
        ("1.", "invalid character ' ' after decimal point in numeric literal"),
        ("tru", "invalid character ' ' in literal true (expecting 'e')"),
        ("x", f"invalid character 'x' {BEGINNING}"),
        ("foo", "invalid character 'o' in literal false (expecting 'a')"),
        ("nul1", "invalid character '1' in literal null (expecting 'l')"),
        ('{"label":["k"]} x', "invalid character 'x' after top-level value"),
        ("1x", "invalid character 'x' after top-level value"),
        ('{"a":["a\\q"]}', "invalid character 'q' in string escape code"),
        ("[-x]", "invalid character 'x' in numeric literal"),
        ("[1.x]", "invalid character 'x' after decimal point in numeric literal"),
        ("[1ex]", "invalid character 'x' in exponent of numeric literal"),
        ("[1e+x]", "invalid character 'x' in exponent of numeric literal"),
        ('["\\uzz"]', "invalid character 'z' in \\u hexadecimal character escape"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a"x1}', "invalid character 'x' after object key"),
        ('{"a":[1x', "invalid character 'x' after array element"),
        ('{"a":1x', "invalid character 'x' after object key:value pair"),
        ('{"a":1,x', "invalid character 'x' looking for beginning of object key string"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("[1,]", f"invalid character ']' {BEGINNING}"),
        ('{"a\x01":1', "invalid character '\\x01' in string literal"),
        ('"\n"', "invalid character '\\n' in string literal"),
        ("é", f"invalid character 'Ã' {BEGINNING}"),
        ("\udcff", f"invalid character 'ÿ' {BEGINNING}"),
        ("\udc80", f"invalid character '\\u0080' {BEGINNING}"),
        ("[" * 200, "unexpected end of JSON input"),
        ("[" * 200 + "]" * 200, "exceeded max depth"),
        ("[" * 10_001, "exceeded max depth"),
    ],
)
def test_syntax_errors_have_the_texts_of_go(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        decode(text, "any")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "go_type", "message"),
    [
        ("[]", "map[string]*string", "cannot unmarshal array into Go value of type map[string]*string"),
        ('{"A":1}', "map[string]*string", "cannot unmarshal number into Go value of type string"),
        ('{"A":-1.5e3}', "map[string]string", "cannot unmarshal number into Go value of type string"),
        ('{"A":true}', "map[string]string", "cannot unmarshal bool into Go value of type string"),
        ('{"A":{}}', "map[string]string", "cannot unmarshal object into Go value of type string"),
        ("{}", "[]string", "cannot unmarshal object into Go value of type []string"),
        (
            '"x"',
            "map[string]map[string]bool",
            "cannot unmarshal string into Go value of type map[string]map[string]bool",
        ),
        ('{"d":"true"}', "map[string]map[string]bool", "cannot unmarshal string into Go value of type map[string]bool"),
        ('{"d":{"a":"x"}}', "map[string]map[string]bool", "cannot unmarshal string into Go value of type bool"),
    ],
)
def test_type_errors_have_the_texts_of_go(text: str, go_type: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        decode(text, go_type)
    assert str(raised.value) == f"json: {message}"


@pytest.mark.parametrize(
    ("text", "go_type", "value"),
    [
        ("null", "map[string]string", None),
        ("null", "[]string", None),
        (' {"a" : null , "b":"c"}\n', "map[string]*string", {"a": None, "b": "c"}),
        ('{"a":null}', "map[string]string", {"a": ""}),
        ('{"a":null}', "map[string]map[string]bool", {"a": None}),
        ('{"a":{"b":null}}', "map[string]map[string]bool", {"a": {"b": False}}),
        ('["a","b"]', "[]string", ["a", "b"]),
        ('[1,-0.5e+1,{"x":[]}]', "[]any", [1, -5, {"x": []}]),
        ('"\\u00e9\\n"', "string", "é\n"),
        ('"\udcff"', "string", "\ufffd"),
        ('{"\\ud800":"\\udc00"}', "map[string]string", {"\ufffd": "\ufffd"}),
        ("9" * 5000, "any", float("inf")),
    ],
)
def test_decode_gives_values(text: str, go_type: str, value: Any) -> None:
    assert decode(text, go_type) == value


_documents = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(_documents)
def test_every_document_is_read(document: Any) -> None:
    assert decode(json.dumps(document), "any") == document
    assert decode(json.dumps(document, ensure_ascii=False, indent=1), "any") == document


@given(st.text(st.sampled_from('{}[]",:\\ -+.eE019truefalsn\x01é'), max_size=12))
def test_what_is_accepted_is_what_python_accepts(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        with pytest.raises(InvalidInput):
            decode(text, "any")
    else:
        assert decode(text, "any") == expected
