from click.testing import CliRunner

from imagewright import __version__
from imagewright.cli.main import program
from support.scripted import Answer, scripted_engine


def test_without_an_engine() -> None:
    result = CliRunner().invoke(program, ["version"])
    assert result.stdout.startswith(f"imagewright {__version__} (Python ")


def test_with_an_engine() -> None:
    with scripted_engine({"GET /version": Answer(b'{"Version":"9","ApiVersion":"1.51"}')}) as engine:
        result = CliRunner().invoke(program, ["version", "-H", engine.host])
    assert result.stdout.splitlines()[1] == f"engine at {engine.host}: 9, API 1.51"


def test_with_an_engine_that_is_gone() -> None:
    result = CliRunner().invoke(program, ["version", "-H", "unix:///nonexistent"])
    assert result.exit_code == 1
    assert "cannot talk to the engine" in result.stderr
