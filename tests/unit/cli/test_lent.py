import click
from click.testing import CliRunner

from imagewright.cli.lent import Lent, lent_options


def test_options_come_as_one_value() -> None:
    found = []

    @click.command()
    @lent_options
    @click.option("--other")
    def command(*, lent: Lent, other: str) -> None:
        found.append((lent, other))

    arguments = ["--secret", "id=a,env=A", "--allow", "network.host", "--allow", "network.host", "--other", "x"]
    result = CliRunner().invoke(command, arguments, env={"A": "hush"})
    assert result.exit_code == 0, result.output
    assert found == [(Lent(secrets={"a": b"hush"}, allow=frozenset({"network.host"})), "x")]
    assert "hush" not in repr(found)
