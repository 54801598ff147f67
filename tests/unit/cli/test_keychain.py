import base64
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from imagewright.cli.keychain import UserKeychain, auth_header, config_header, open_docker_config
from imagewright.registry import Credential, no_credentials, parse_auth_header, parse_config_header


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DOCKER_CONFIG", raising=False)
    return tmp_path / ".docker"


def write(directory: Path, document: object) -> None:
    directory.mkdir(exist_ok=True)
    (directory / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))


def entry(text: str) -> dict[str, Any]:
    return {"auth": base64.b64encode(text.encode()).decode()}


def test_the_directory(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, {"auths": {"reg.example": entry("home:1")}})
    write(tmp_path / "elsewhere", {"auths": {"reg.example": entry("elsewhere:1")}})
    assert open_docker_config()("reg.example") == Credential("home", "1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "elsewhere"))
    assert open_docker_config()("reg.example") == Credential("elsewhere", "1")


def test_the_headers_are_what_the_engine_reads(home: Path) -> None:
    hub = "https://index.docker.io/v1/"
    write(home, {"auths": {"reg.example": entry("a:b"), hub: {**entry("hub:"), "identitytoken": "i"}, "none": {}}})
    keychain = UserKeychain()

    header = auth_header("docker.io", keychain("docker.io"))["X-Registry-Auth"]
    assert parse_auth_header(header) == Credential("hub", "", "i")
    assert json.loads(base64.urlsafe_b64decode(header))["serveraddress"] == hub
    assert auth_header("x", None) == {}

    headers = config_header(keychain)
    assert json.loads(base64.urlsafe_b64decode(headers["X-Registry-Config"])).keys() == {"reg.example", hub}
    assert parse_config_header(headers["X-Registry-Config"]) == {
        "reg.example": Credential("a", "b"),
        "docker.io": Credential("hub", "", "i"),
    }
    assert config_header(no_credentials) == {}


def test_nobody_has_nothing(home: Path) -> None:
    assert UserKeychain()("reg.example") is None
    assert config_header(UserKeychain()) == {}
    write(home, {})
    assert config_header(UserKeychain()) == {}


def test_a_helper_is_asked_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "docker-credential-tests"
    program.write_text(f'#!/bin/sh\necho "$1" >>{tmp_path}/asked\necho \'{{"Username": "a", "Secret": "b"}}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    write(home, {"credsStore": "tests"})
    keychain = UserKeychain()
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(keychain, ["reg.example"] * 8)) == {Credential("a", "b")}
    assert (tmp_path / "asked").read_text() == "get\n"


@pytest.mark.parametrize(
    ("document", "warning"),
    [
        ("{", "warning: the Docker configuration is not the JSON that it should be\n"),
        (
            {"credsStore": "nobody-has-this"},
            "warning: error {} credentials: docker-credential-nobody-has-this is not installed\n",
        ),
        (
            {"credHelpers": {"reg.example": "nobody-has-this"}, "auths": {"x": entry("a:b")}},
            "warning: error getting credentials: docker-credential-nobody-has-this is not installed\n",
        ),
        ({"auths": {"reg.example": {"auth": "?"}}}, "warning: the Docker configuration holds an auth that is not"),
    ],
)
def test_what_cannot_be_had_is_told_once(
    home: Path, document: object, warning: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(home, document)
    keychain = UserKeychain()
    assert keychain("reg.example") is None
    assert keychain("reg.example") is None
    told = capsys.readouterr().err
    assert told.startswith(warning.format("getting"))
    assert told.count("\n") == 1

    everything = UserKeychain().credentials()
    assert set(everything) <= {"x"}
    assert capsys.readouterr().err.startswith(warning.format("listing"))
