import pytest
from click.testing import CliRunner

from imagewright.cli.main import program
from support.scripted import scripted_engine


def test_a_daemon_at_the_default_socket_has_the_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_engine({}) as engine:
        monkeypatch.setattr("imagewright.cli.debug.DEFAULT_SOCKET", engine.socket)
        result = CliRunner().invoke(program, ["debug", "x"])
    assert result.exit_code == 1
    assert "a daemon holds the data root" in result.stderr


def test_a_container_has_to_be_named() -> None:
    result = CliRunner().invoke(program, ["debug"])
    assert result.exit_code == 2
    assert "CONTAINER" in result.stderr
