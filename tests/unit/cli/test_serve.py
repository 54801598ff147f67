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
