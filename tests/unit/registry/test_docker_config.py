import base64
import json
import os
from pathlib import Path

import pytest

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.registry import Credential, Keychain, read_docker_config


def keychain(directory: Path, document: object) -> Keychain:
    path = directory / "config.json"
    path.write_text(json.dumps(document))
    return read_docker_config(str(path))


def auth(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_auths_are_known_by_their_registry(tmp_path: Path) -> None:
    find = keychain(
        tmp_path,
        {
            "auths": {
                "https://index.docker.io/v1/": {"auth": auth("hub:a:b")},
                "localhost:5000": {"auth": auth("near:n\x00")},
                "token.example": {"identitytoken": "i", "auth": auth("me:")},
                "empty.example": {},
            },
            "HttpHeaders": {"User-Agent": "x"},
        },
    )

    assert find("docker.io") == Credential("hub", "a:b")
    assert find("localhost:5000") == Credential("near", "n")
    assert find("token.example") == Credential("me", "", "i")
    assert find("empty.example") is None
    assert find("localhost") is None


def test_a_file_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert read_docker_config(str(tmp_path / "none"))("docker.io") is None
    (tmp_path / "nothing").write_text("")
    assert read_docker_config(str(tmp_path / "nothing"))("docker.io") is None


@pytest.mark.parametrize("text", ["{", "[]", '{"auths": {"x": {"auth": 5}}}'])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(InvalidInput) as caught:
        read_docker_config(str(tmp_path / "config.json"))

    assert str(tmp_path) not in str(caught.value)


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        read_docker_config(str(tmp_path))


def test_an_auth_that_is_not_base64(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        keychain(tmp_path, {"auths": {"x.example": {"auth": "?"}}})("x.example")


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A credential helper of our own, that knows what its directory says."""
    directory = tmp_path / "bin"
    directory.mkdir()
    program = directory / "docker-credential-tests"
    program.write_text(
        '#!/bin/sh\nread -r server\nfile="$(dirname "$0")/$(echo "$server" | tr /: __)"\n'
        '[ -e "$file" ] && exec cat "$file"\necho "credentials not found in native keychain"; exit 1\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return directory


def test_helpers_are_asked(tmp_path: Path, helper: Path) -> None:
    (helper / "https___index.docker.io_v1_").write_text('{"ServerURL": "x", "Username": "hub", "Secret": "h"}')
    (helper / "token.example").write_text('{"Username": "<token>", "Secret": "i"}')
    (helper / "bad.example").write_text("nonsense")
    find = keychain(tmp_path, {"credsStore": "tests", "auths": {"reg.example": {"auth": auth("a:b")}}})

    assert find("docker.io") == Credential("hub", "h")
    assert find("token.example") == Credential(identity_token="i")  # noqa: S106
    assert find("reg.example") is None
    with pytest.raises(SystemFailure):
        find("bad.example")


def test_a_helper_of_one_registry(tmp_path: Path, helper: Path) -> None:
    (helper / "one.example").write_text('{"Username": "a", "Secret": "b"}')
    find = keychain(tmp_path, {"credHelpers": {"one.example": "tests"}, "auths": {"x.example": {"auth": auth("c:d")}}})

    assert find("one.example") == Credential("a", "b")
    assert find("x.example") == Credential("c", "d")


def test_helpers_that_cannot_be_asked(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match="not installed"):
        keychain(tmp_path, {"credsStore": "nobody-has-this"})("docker.io")
    with pytest.raises(InvalidInput):
        keychain(tmp_path, {"credsStore": "../evil"})("docker.io")
