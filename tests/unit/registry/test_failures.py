import json

import pytest

from imagewright.errors import Forbidden, ImagewrightError, NotFound, SystemFailure, Unavailable
from imagewright.reference import Reference
from imagewright.registry.challenges import parse_challenges
from imagewright.registry.failures import Answer, answer_error, pull_error, read_answer, retry_after


def errors(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


def test_an_answer_is_told_as_the_engine_does() -> None:
    answer = read_answer(404, errors("MANIFEST_UNKNOWN", "manifest unknown"))

    assert answer.text == "manifest unknown: manifest unknown"
    assert (
        str(pull_error(answer, Reference.parse("localhost:5000/nope")))
        == "manifest for localhost:5000/nope:latest not found: manifest unknown: manifest unknown"
    )


def test_access_denied_is_told_as_the_engine_does() -> None:
    challenges = parse_challenges(['Bearer realm="x",error="insufficient_scope"'])
    answer = read_answer(401, errors("UNAUTHORIZED", "authentication required"), challenges)

    assert str(pull_error(answer, Reference.parse("nope"))) == (
        "pull access denied for nope, repository does not exist or may require 'docker login': "
        "denied: requested access to the resource is denied"
    )


def test_a_missing_repository_is_told_as_the_engine_does() -> None:
    answer = read_answer(404, errors("NAME_UNKNOWN", "repository name not known to registry"))

    assert str(pull_error(answer, Reference.parse("localhost:5000/x:1"))) == (
        "repository localhost:5000/x not found: name unknown: repository name not known to registry"
    )


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (500, b"<html>", "received unexpected HTTP status: 500 Internal Server Error"),
        (599, b"", "received unexpected HTTP status: 599"),
        (401, b"", "unauthorized: authentication required"),
        (429, b"{}", "toomanyrequests: too many requests"),
        (400, b'{"errors": [{"code": "X"}]}', "x: x"),
        (400, errors("A", "b\x1b[2J\u202e"), "a: b?[2J?"),
    ],
)
def test_answers_without_words_get_some(status: int, body: bytes, text: str) -> None:
    assert read_answer(status, body).text == text


def test_secrets_are_taken_out() -> None:
    answer = read_answer(400, errors("BAD", "you sent word"), redact=lambda text: text.replace("word", "***"))

    assert answer.text == "bad: you sent ***"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, Unavailable),
        (401, Forbidden),
        (403, Forbidden),
        (404, NotFound),
        (500, SystemFailure),
        (400, SystemFailure),
    ],
)
def test_statuses_have_their_errors(status: int, kind: type[ImagewrightError]) -> None:
    assert type(answer_error(Answer(status))) is kind


@pytest.mark.parametrize(
    ("text", "expected"), [("", None), ("5", 5), ("-5", None), ("soon", None), ("9" * 400, 61), ("\u00b2", None)]
)
def test_waits_are_bounded(text: str, expected: float | None) -> None:
    assert retry_after(text, 60) == expected
