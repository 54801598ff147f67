"""The commands that are little more than a request: what they ask of a running engine, and what they print."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from imagewright.cli.main import program
from imagewright.registry import Credential, parse_auth_header
from support.scripted import Answer, ScriptedEngine, scripted_engine

IMAGE = f"sha256:{'ab' * 32}"
PULLED = b'{"status":"Pulling from team/app","id":"1"}\r\n{"status":"Waiting","progressDetail":{},"id":"l"}\r\n'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text('{"auths": {"reg.example": {"auth": "bWU6cHc="}}}')
    return tmp_path


@pytest.fixture
def engine() -> Iterator[ScriptedEngine]:
    answers = {
        "POST /images/create": Answer(PULLED),
        "POST /images/reg.example/team/app/push": Answer(PULLED),
        "POST /images/reg.example/team/app:1/tag": Answer(status=201),
        "DELETE /images/reg.example/team/app:1": Answer(json.dumps([{"Untagged": "x:1"}, {"Deleted": IMAGE}]).encode()),
        "DELETE /images/busy": Answer(b'{"message":"conflict: in use"}', 409),
        "POST /auth": Answer(b'{"Status":"Login Succeeded","IdentityToken":""}'),
    }
    with scripted_engine(answers) as running:
        yield running


def run(engine: ScriptedEngine, *arguments: str, data: str = "") -> Result:
    return CliRunner().invoke(program, [arguments[0], "-H", engine.host, *arguments[1:]], input=data)


def test_pull(engine: ScriptedEngine) -> None:
    result = run(engine, "pull", "reg.example/team/app")
    assert result.stdout.splitlines() == [
        "Using default tag: latest",
        "1: Pulling from team/app",
        "l: Waiting",
        "reg.example/team/app:latest",
    ]
    assert run(engine, "pull", "-q", "--platform", "linux/arm64", "busybox:1").stdout == "docker.io/library/busybox:1\n"
    run(engine, "pull", "-a", "reg.example/team/app")
    run(engine, "pull", f"reg.example/team/app@{IMAGE}")
    first, second, third, fourth = engine.requests
    assert first.query == {"fromImage": ["reg.example/team/app"], "tag": ["latest"]}
    assert parse_auth_header(first.headers["X-Registry-Auth"]) == Credential("me", "pw")
    assert second.query == {"fromImage": ["busybox"], "tag": ["1"], "platform": ["linux/arm64"]}
    assert "X-Registry-Auth" not in second.headers
    assert third.query == {"fromImage": ["reg.example/team/app"]}
    assert fourth.query == {"fromImage": ["reg.example/team/app"], "tag": [IMAGE]}


def test_push(engine: ScriptedEngine) -> None:
    assert run(engine, "push", "reg.example/team/app:1").stdout.startswith("1: Pulling")
    assert run(engine, "push", "-a", "-q", "reg.example/team/app").stdout == "reg.example/team/app\n"
    assert run(engine, "push", "-a", "--compression", "zstd", "reg.example/team/app").exit_code == 0
    assert "'gzip', 'zstd'" in run(engine, "push", "--compression", "xz", "reg.example/team/app").stderr
    first, second, third = engine.requests
    assert (first.query, second.query, third.query) == ({"tag": ["1"]}, {}, {"compression": ["zstd"]})
    assert parse_auth_header(second.headers["X-Registry-Auth"]) == Credential("me", "pw")


def test_tag(engine: ScriptedEngine) -> None:
    assert run(engine, "tag", "reg.example/team/app:1", "other").exit_code == 0
    assert engine.requests[0].query == {"repo": ["other"], "tag": ["latest"]}


def test_rmi(engine: ScriptedEngine) -> None:
    result = run(engine, "rmi", "-f", "--no-prune", "reg.example/team/app:1")
    assert result.stdout == f"Untagged: x:1\nDeleted: {IMAGE}\n"
    assert engine.requests[0].query == {"force": ["1"], "noprune": ["1"]}


def test_rmi_goes_on_after_an_error(engine: ScriptedEngine) -> None:
    result = run(engine, "rmi", "busy", "nope", "reg.example/team/app:1")
    assert result.exit_code == 1
    assert result.stderr == "error: conflict: in use\nerror: page not found\n"
    assert result.stdout.startswith("Untagged: x:1\n")
    assert run(engine, "rmi", "-f", "nope").exit_code == 0
    assert run(engine, "rmi", "-f", "busy").exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("pull", "-a", "x:1"), "tag can't be used with --all-tags/-a"),
        (("push", "-a", f"x@{IMAGE}"), "tag can't be used with --all-tags/-a"),
        (("push", f"x@{IMAGE}"), "cannot push a digest reference"),
        (("tag", "x", f"x@{IMAGE}"), "refusing to create a tag with a digest reference"),
        (("pull", "X"), "invalid reference format: repository name must be lowercase"),
        (("login", "--password-stdin", "x.example"), "Must provide --username with --password-stdin"),
        (("login", "-u", "a", "-p", "b", "--password-stdin"), "--password and --password-stdin are mutually exclusive"),
        (("login", "x.example"), "--username is needed: nobody can be asked, for standard input is no terminal"),
        (("login", "-u", "a", "x.example"), "--password-stdin is needed: nobody can be asked, for standard input is"),
    ],
)
def test_what_cannot_be_is_refused(engine: ScriptedEngine, arguments: tuple[str, ...], message: str) -> None:
    result = run(engine, *arguments)
    assert result.exit_code == 1
    assert f"error: {message}" in result.stderr
    assert engine.requests == []


def test_login(engine: ScriptedEngine, home: Path) -> None:
    result = run(engine, "login", "-u", "hub", "--password-stdin", data="s3cret\r\n")
    assert result.stdout == "Login Succeeded\n"
    assert json.loads(engine.requests[0].body) == {
        "serveraddress": "https://index.docker.io/v1/",
        "username": "hub",
        "password": "s3cret",
        "identitytoken": "",
    }
    auths = json.loads((home / "config.json").read_text())["auths"]
    assert auths == {"reg.example": {"auth": "bWU6cHc="}, "https://index.docker.io/v1/": {"auth": "aHViOnMzY3JldA=="}}


def test_login_with_a_password_for_all_to_see(engine: ScriptedEngine) -> None:
    result = run(engine, "login", "-u", "hub", "-p", "s3cret")
    assert "for all to see" in result.stderr
    assert "s3cret" not in result.output
    assert result.exit_code == 0


def test_login_again(engine: ScriptedEngine) -> None:
    result = run(engine, "login", "https://reg.example/v2/")
    assert result.stdout == "Authenticating with existing credentials...\nLogin Succeeded\n"
    sent = json.loads(engine.requests[0].body)
    assert (sent["username"], sent["password"]) == ("me", "pw")


def test_a_login_that_is_refused_changes_nothing(engine: ScriptedEngine, home: Path) -> None:
    before = (home / "config.json").read_text()
    engine.answers = {"POST /auth": Answer(b'{"message":"unauthorized"}', 401)}
    result = run(engine, "login", "-u", "hub", "--password-stdin", data="s3cret")
    assert (result.exit_code, result.stderr) == (1, "error: unauthorized\n")
    assert (home / "config.json").read_text() == before


def test_logout(home: Path) -> None:
    result = CliRunner().invoke(program, ["logout", "http://reg.example/"])
    assert result.stdout == "Removing login credentials for reg.example\n"
    assert json.loads((home / "config.json").read_text()) == {"auths": {}}
    assert CliRunner().invoke(program, ["logout"]).stdout == "Not logged in to https://index.docker.io/v1/\n"
