import pytest

from imagewright import errors
from imagewright.errors import DockerfileError, ImagewrightError, InvalidInput, RunFailed, Unavailable


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_has_the_one_root_and_stands_in_the_drawing(name: str) -> None:
    assert issubclass(getattr(errors, name), ImagewrightError)
    assert name in (errors.__doc__ or "")


def test_dockerfile_error_carries_its_line() -> None:
    error = DockerfileError("unknown instruction: FOO", line=2, source="FOO bar", path="sub/Dockerfile")
    assert isinstance(error, InvalidInput)
    assert str(error) == "unknown instruction: FOO"
    assert (error.line, error.source, error.path) == (2, "FOO bar", "sub/Dockerfile")


def test_dockerfile_error_without_a_line() -> None:
    error = DockerfileError("no build stage in current context")
    assert (error.line, error.source, error.path) == (0, "", "Dockerfile")


def test_the_middle_of_a_long_message_is_left_out() -> None:
    assert str(InvalidInput("a" * 8192)) == "a" * 8192
    assert str(InvalidInput(f"unknown: {'a' * 1_000_000}: no such thing")) == (
        f"unknown: {'a' * 4087}...{'a' * 4081}: no such thing"
    )


def test_run_failed_carries_the_exit_code() -> None:
    assert RunFailed("returned a non-zero code: 3", exit_code=3).exit_code == 3


def test_unavailable_says_when_to_come_back() -> None:
    assert Unavailable("too many builds").retry_after == 1
    assert Unavailable("too many builds", retry_after=30).retry_after == 30
