import pytest
from click.testing import CliRunner

from imagewright.cli.main import program


def test_wrong_address_is_refused_before_anything_is_opened() -> None:
    result = CliRunner().invoke(program, ["serve", "-H", "tcp://localhost:2375", "--data-root", "/nonexistent"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: invalid host 'tcp://localhost:2375'")


@pytest.mark.parametrize("arguments", [["--max-builds", "0"], ["--max-builds", "x"], ["--max-queued", "-1"]])
def test_limits_that_cannot_be(arguments: list[str]) -> None:
    result = CliRunner().invoke(program, ["serve", *arguments, "--data-root", "/nonexistent"])
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["--ssh-agent", "run/agent"], 1, "--ssh-agent run/agent: the path of the socket must be absolute"),
        (["--allow-insecure-entitlement", "x"], 2, "--allow-insecure-entitlement"),
    ],
)
def test_what_cannot_be_lent_to_builds(arguments: list[str], code: int, text: str) -> None:
    result = CliRunner().invoke(program, ["serve", *arguments, "--data-root", "/nonexistent"])
    assert result.exit_code == code
    assert text in result.stderr
