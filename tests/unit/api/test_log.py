from collections.abc import Iterator

import pytest
import structlog

from imagewright.api.log import configure_log, log_failure
from imagewright.errors import Corrupt, NotFound, RunFailed, SystemFailure


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def test_lines_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log()
    structlog.get_logger().info("request", path='/a b"', status=200, served=True)
    structlog.get_logger().debug("nothing")
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    time, rest = line.split(" ", 1)
    assert time.startswith("timestamp=2")
    assert rest == 'level=info event=request path="/a b\\"" status=200 served=true'


def test_failures_leave_their_trace(capsys: pytest.CaptureFixture[str]) -> None:
    configure_log()
    try:
        {}["/var/lib/secret"]  # type: ignore[index]
    except KeyError as error:
        log_failure(error, "GET", "/images/json")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith('level=error event="unexpected error" method=GET endpoint=/images/json')
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "KeyError: '/var/lib/secret'"


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (NotFound("x"), False),
        (RunFailed("x", exit_code=1), False),
        (SystemFailure("x"), True),
        (Corrupt("x"), True),
        (OSError(5, "x"), True),
    ],
)
def test_what_is_the_client_s_doing_leaves_none(error: Exception, logged: bool) -> None:
    with structlog.testing.capture_logs() as logs:
        log_failure(error, "GET", "/x")
    assert bool(logs) is logged
