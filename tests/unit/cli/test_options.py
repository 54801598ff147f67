import pytest

from imagewright.cli.options import parse_assignment, unix_socket_path
from imagewright.errors import InvalidInput


def test_unix_socket_path() -> None:
    assert unix_socket_path("unix:///run/x.sock") == "/run/x.sock"


@pytest.mark.parametrize("host", ["", "/run/x.sock", "unix://run/x", "tcp://localhost:2375", "unix:/run/x"])
def test_refuses_other_hosts(host: str) -> None:
    with pytest.raises(InvalidInput, match="invalid host"):
        unix_socket_path(host)


@pytest.mark.parametrize(
    ("text", "assignment"), [("A=b", ("A", "b")), ("A=", ("A", "")), ("A", ("A", None)), ("A=b=c", ("A", "b=c"))]
)
def test_assignments(text: str, assignment: tuple[str, str | None]) -> None:
    assert parse_assignment(text) == assignment


@pytest.mark.parametrize("text", ["", "=b"])
def test_assignment_needs_a_name(text: str) -> None:
    with pytest.raises(InvalidInput, match="a name is missing"):
        parse_assignment(text)
