import errno
import json

import pytest

from imagewright import errors
from imagewright.api.errors import PageNotFound, error_response, message_of, redirect_response, status_of
from imagewright.api.versions import MAXIMUM, ApiVersion


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidInput("x"), 400),
        (errors.DockerfileError("x"), 400),
        (errors.Forbidden("x"), 403),
        (errors.NotFound("x"), 404),
        (PageNotFound(), 404),
        (errors.Conflict("x"), 409),
        (errors.Cancelled("x"), 499),
        (errors.RunFailed("x", exit_code=1), 500),
        (errors.Corrupt("x"), 500),
        (errors.SystemFailure("x"), 500),
        (errors.Unsupported("x"), 501),
        (errors.Unavailable("x"), 503),
        (ZeroDivisionError(), 500),
    ],
)
def test_statuses(error: Exception, status: int) -> None:
    assert status_of(error) == status


def test_only_errors_on_purpose_are_told() -> None:
    assert message_of(errors.Corrupt("layer is damaged")) == "layer is damaged"
    assert message_of(KeyError("/var/lib/secret")) == "internal error"
    assert message_of(OSError(errno.ENOSPC, "x", "/var/lib/secret")) == "no space left on device"
    assert message_of(OSError("/var/lib/secret")) == "internal error"


def test_bodies_are_json_from_1_24_on() -> None:
    response = error_response(errors.NotFound("no <x>\udcff"), ApiVersion((1, 24)))
    assert response.body == b'{"message":"no <x>\\ufffd"}\n'
    assert response.headers["Content-Type"] == "application/json"


def test_bodies_are_text_below_1_24() -> None:
    response = error_response(errors.NotFound("no <x>"), ApiVersion((1, 23)))
    assert response.body == b"no <x>\n"
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_a_client_is_told_when_to_come_again() -> None:
    response = error_response(errors.Unavailable("full", retry_after=7), MAXIMUM)
    assert response.headers["Retry-After"] == "7"
    assert json.loads(bytes(response.body or b"")) == {"message": "full"}  # type: ignore[arg-type]


def test_redirects_have_no_body() -> None:
    response = redirect_response("/images/json")
    assert (response.status, response.headers["Location"]) == (301, "/images/json")
