from click.testing import CliRunner

from imagewright.cli.main import program


def test_wrong_address_is_refused_before_anything_is_opened() -> None:
    result = CliRunner().invoke(program, ["serve", "-H", "tcp://localhost:2375", "--data-root", "/nonexistent"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: invalid host 'tcp://localhost:2375'")
