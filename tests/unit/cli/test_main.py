import click
import pytest
from click.testing import CliRunner

from imagewright import __version__
from imagewright.cli.main import program
from imagewright.errors import Cancelled, DockerfileError, ImagewrightError, NotFound, RunFailed


def fail_with(error: Exception) -> click.Command:
    @click.command("version")
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (NotFound("No such image: x"), 1, "error: No such image: x\n"),
        (RunFailed("returned 3", exit_code=3), 3, "error: returned 3\n"),
        (Cancelled("Build cancelled"), 130, "error: Build cancelled\n"),
        (DockerfileError("unknown", line=2, source="FOO a"), 1, "error: unknown\n  Dockerfile:2: FOO a\n"),
        (DockerfileError("empty"), 1, "error: empty\n"),
    ],
)
def test_errors(monkeypatch: pytest.MonkeyPatch, error: ImagewrightError, code: int, text: str) -> None:
    from imagewright.cli import version

    monkeypatch.setattr(version, "command", fail_with(error))
    result = CliRunner().invoke(program, ["version"])
    assert (result.exit_code, result.stderr) == (code, text)


def test_other_exceptions_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    from imagewright.cli import version

    monkeypatch.setattr(version, "command", fail_with(ZeroDivisionError()))
    assert isinstance(CliRunner().invoke(program, ["version"]).exception, ZeroDivisionError)


def test_help_names_every_command_and_each_has_its_own() -> None:
    text = CliRunner().invoke(program, ["--help"]).stdout
    names = ("serve", "build", "images", "doctor", "version", "login", "logout", "pull", "push", "rmi", "tag")
    for name in names:
        assert name in text
        assert CliRunner().invoke(program, [name, "--help"]).exit_code == 0


def test_version_option() -> None:
    assert CliRunner().invoke(program, ["--version"]).stdout == f"imagewright, version {__version__}\n"


def test_unknown_command() -> None:
    result = CliRunner().invoke(program, ["nope"])
    assert result.exit_code == 2
    assert "No such command 'nope'" in result.stderr
