import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.api.encoding import REPLACE, encode


def test_characters_that_html_knows_are_escaped() -> None:
    assert encode({"a": "<b> & \u2028\u2029"}, html=True) == b'{"a":"\\u003cb\\u003e \\u0026 \\u2028\\u2029"}'


def test_what_is_no_utf8_becomes_a_replacement_character() -> None:
    assert encode(["\udcff", {"\udc80k": ("x\ud800", 1)}]) == b'["\\ufffd",{"\\ufffdk":["x\\ufffd",1]}]'


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"a\xffb", "a\ufffdb"), (b"\xe2\x82", "\ufffd\ufffd"), (b"\xed\xa0\x80", "\ufffd" * 3), ("é".encode(), "é")],
)
def test_every_bad_byte_is_replaced_by_itself(data: bytes, text: str) -> None:
    assert data.decode("utf-8", REPLACE) == text


def test_the_error_handler_is_for_decoding() -> None:
    with pytest.raises(UnicodeEncodeError):
        "é".encode("ascii", REPLACE)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.lists(st.text(st.characters(codec="utf-8")))))
def test_what_is_encoded_reads_back(document: Any) -> None:
    assert json.loads(encode(document)) == document
