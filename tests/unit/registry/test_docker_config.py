import base64
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.registry import Credential, DockerConfig, read_docker_config


def keychain(directory: Path, document: object) -> DockerConfig:
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


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"auths": {"x": {"auth": 5}}}', "\0", "[" * 100_000, " " * (5 << 20) + "{}"]
)
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
        '#!/bin/sh\nserver=$(cat)\nfile="$(dirname "$0")/$(echo "$server" | tr /: __)"\n'
        'echo "$1 $server" >>"$(dirname "$0")/asked"\n'
        '[ "$1" = list ] && exec cat "$(dirname "$0")/list"\n'
        '[ "$1" != get ] && exit 0\n'
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


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sleep 1 & exec sleep 60", "does not answer in 0.2 s"),
        ("exec sleep 60 >&-", "does not answer in 0.2 s"),
        ("exec cat /dev/zero", "answers with more than 4 MiB"),
        ("printf '\\377\\0{'", "answers no JSON"),
        ("echo '[1]'", "answers no JSON"),
        ("kill -9 $$", "ended with -9"),
    ],
)
def test_helpers_that_answer_nothing_that_is_an_answer(
    tmp_path: Path, helper: Path, monkeypatch: pytest.MonkeyPatch, script: str, said: str
) -> None:
    (helper / "docker-credential-tests").write_text(f"#!/bin/sh\necho $$ >{helper}/pid\n{script}\n")
    monkeypatch.setattr("imagewright.registry.credential_helpers._SECONDS", 0.2)
    begun = time.monotonic()
    with pytest.raises(SystemFailure, match=f"error getting credentials: docker-credential-tests {said}$"):
        keychain(tmp_path, {"credsStore": "tests"})("docker.io")
    assert time.monotonic() - begun < 5
    with pytest.raises(ProcessLookupError):
        os.kill(int((helper / "pid").read_text()), 0)


def test_a_helper_that_does_not_read(tmp_path: Path, helper: Path) -> None:
    (helper / "docker-credential-tests").write_text("#!/bin/sh\nexit 0\n")
    config = keychain(tmp_path, {"credsStore": "tests"})
    config.store("reg.example", Credential("me", "x" * 200_000))


def written(directory: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / "config.json").read_text())
    return document


def test_a_login_is_kept_in_the_file(tmp_path: Path) -> None:
    config = keychain(
        tmp_path, {"auths": {"old.example": {"auth": auth("a:b"), "email": "e"}}, "HttpHeaders": {"X": "y"}}
    )
    (tmp_path / "config.json").chmod(0o644)

    assert not config.store("docker.io", Credential("hub", "p:w"))
    assert not config.store("reg.example:5000", Credential("me", identity_token="token"))  # noqa: S106

    assert written(tmp_path) == {
        "auths": {
            "old.example": {"auth": auth("a:b"), "email": "e"},
            "https://index.docker.io/v1/": {"auth": auth("hub:p:w")},
            "reg.example:5000": {"auth": auth("me:"), "identitytoken": "token"},
        },
        "HttpHeaders": {"X": "y"},
    }
    assert (tmp_path / "config.json").stat().st_mode & 0o777 == 0o600
    assert os.listdir(tmp_path) == ["config.json"]
    assert config("docker.io") == read_docker_config(str(tmp_path / "config.json"))("docker.io")
    assert config("docker.io") == Credential("hub", "p:w")


def test_a_first_login_makes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.json"
    read_docker_config(str(path)).store("reg.example", Credential("me", "pw"))

    assert read_docker_config(str(path))("reg.example") == Credential("me", "pw")
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("real.json")
    read_docker_config(str(tmp_path / "config.json")).store("reg.example", Credential("me", "pw"))

    assert (tmp_path / "config.json").is_symlink()
    assert "reg.example" in json.loads((tmp_path / "real.json").read_text())["auths"]


def test_what_another_program_wrote_meanwhile_stays(tmp_path: Path) -> None:
    config = keychain(tmp_path, {})
    (tmp_path / "config.json").write_text('{"auths": {"a.example": {}}, "detachKeys": "x"}')
    config.store("b.example", Credential("me", "pw"))

    assert written(tmp_path)["auths"].keys() == {"a.example", "b.example"}
    assert written(tmp_path)["detachKeys"] == "x"


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises((InvalidInput, SystemFailure)) as caught:
        read_docker_config(str(tmp_path / "file" / "config.json")).store("reg.example", Credential("me", "pw"))

    assert str(tmp_path) not in str(caught.value)


def test_a_logout_forgets_every_name_of_the_registry(tmp_path: Path) -> None:
    entry = {"auth": auth("a:b")}
    config = keychain(
        tmp_path, {"auths": {"https://reg.example/v2/": entry, "reg.example": entry, "reg.example:1": entry}}
    )

    assert config.erase("reg.example")
    assert not config.erase("reg.example")
    assert written(tmp_path) == {"auths": {"reg.example:1": entry}}
    assert config("reg.example") is None


def test_a_helper_keeps_the_login(tmp_path: Path, helper: Path) -> None:
    config = keychain(tmp_path, {"credHelpers": {"reg.example": "tests"}})

    assert config.store("reg.example", Credential("me", "pw")) == "tests"
    assert config.store("reg.example", Credential("me", identity_token="i")) == "tests"  # noqa: S106

    assert written(tmp_path) == {"credHelpers": {"reg.example": "tests"}, "auths": {"reg.example": {}}}
    asked = [line.partition(" ") for line in (helper / "asked").read_text().splitlines()]
    assert [(verb, json.loads(what)) for verb, _, what in asked] == [
        ("store", {"ServerURL": "reg.example", "Username": "me", "Secret": "pw"}),
        ("store", {"ServerURL": "reg.example", "Username": "<token>", "Secret": "i"}),
    ]

    assert config.erase("reg.example")
    assert "erase reg.example" in (helper / "asked").read_text().splitlines()
    assert written(tmp_path)["auths"] == {}


def test_a_login_that_the_helper_does_not_take(tmp_path: Path) -> None:
    config = keychain(tmp_path, {"credsStore": "nobody-has-this"})

    with pytest.raises(SystemFailure, match="error saving credentials: docker-credential-nobody-has-this is not inst"):
        config.store("reg.example", Credential("me", "pw"))

    assert written(tmp_path) == {"credsStore": "nobody-has-this"}


def test_everything_is_listed_under_its_address(tmp_path: Path, helper: Path) -> None:
    hub = "https://index.docker.io/v1/"
    (helper / "list").write_text(json.dumps({hub: "hub", "gone.example": "x"}))
    (helper / "https___index.docker.io_v1_").write_text('{"Username": "hub", "Secret": "h"}')
    (helper / "one.example").write_text('{"Username": "one", "Secret": "o"}')
    for store, expected in (
        ({"credsStore": "tests"}, {hub: Credential("hub", "h"), "gone.example": None}),
        ({}, {"x.example": Credential("c", "d")}),
    ):
        config = keychain(
            tmp_path,
            {**store, "credHelpers": {"one.example": "tests"}, "auths": {"x.example": {"auth": auth("c:d")}}},
        )
        found = {address: fetch() for address, fetch in config.credentials()}
        assert found == {**expected, "one.example": Credential("one", "o")}
