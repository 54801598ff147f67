import base64
import json

import pytest

from imagewright.api.build_secrets import parse_secrets
from imagewright.errors import InvalidInput

BYTES = b"\xff\xfe\xfd hush \x00"


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def standard(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_either_alphabet_padded_or_not(encode: object, *, padded: bool) -> None:
    assert callable(encode)
    value = encode(BYTES).decode()
    header = encode(json.dumps({"t?~>": value if padded else value.rstrip("="), "empty": ""}).encode()).decode()
    assert parse_secrets([header if padded else header.rstrip("=")]) == {"t?~>": BYTES, "empty": b""}


def test_ids_are_what_dockerfiles_can_say() -> None:
    names = {"a/b": "", "..": "", "a b,c=d": "", "größe": "", **{f"id{number}": "" for number in range(2000)}}
    assert parse_secrets([encoded(names)]).keys() == names.keys()


@pytest.mark.parametrize("fields", [[], [""], [" "], [encoded({})]])
def test_nothing(fields: list[str]) -> None:
    assert parse_secrets(fields) == {}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (["hush-4711!"], "must be base64 of a JSON object"),
        ([standard(b"hush-4711")], "must be base64 of a JSON object"),
        ([standard(b'{"hush-4711": ')], "must be base64 of a JSON object"),
        ([standard(b'"hush-4711"')], "must be base64 of a JSON object"),
        ([standard(b"[" * 40_000)], "must be base64 of a JSON object"),
        ([encoded(["hush-4711"])], "must be base64 of a JSON object"),
        ([encoded({"id": 4711})], "the value of 'id' must be a text"),
        ([encoded({"id": None})], "the value of 'id' must be a text"),
        ([encoded({"id": "hush-4711?"})], "the value of 'id' must be base64"),
        ([encoded({"id": "häsh-4711"})], "the value of 'id' must be base64"),
        ([encoded({"id": {"id": "4711"}})], "the value of 'id' must be a text"),
        ([standard(b'{"id": NaN}')], "the value of 'id' must be a text"),
        ([standard('{"id": "hush-4711"}'.encode("utf-16"))], "must be base64 of a JSON object"),
        ([standard(b'{"\xff": "hush-4711"}')], "must be base64 of a JSON object"),
        ([standard(b'{"id": "", "id": "hush-4711"}')], "there are two secrets 'id'"),
        ([standard(b'{"id": "", "\\u0069d": "hush-4711"}')], "there are two secrets 'id'"),
        ([encoded({"i\0d": "4711"})], "the id 'i\\x00d' has characters that cannot be printed"),
        ([encoded({"i\nd": "4711"})], "the id 'i\\nd' has characters that cannot be printed"),
        ([standard(b'{"\\ud800": "hush-4711"}')], "the id '\\ud800' has characters that cannot be printed"),
        ([encoded({"": ""})], "a secret without an id"),
        ([encoded({"i" * 1000: 4711})], "i..."),
        ([encoded({}), encoded({})], "more than once"),
        (["A" * (64 * 1024 + 1)], "more than 65536 bytes"),
    ],
)
def test_what_cannot_be_is_named_and_not_quoted(fields: list[str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_secrets(fields)
    text = str(caught.value)
    assert text.startswith("X-Build-Secrets: ")
    assert message in text
    assert "4711" not in text
    assert len(text) < 300
    # What a log would show of where the error comes from.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
