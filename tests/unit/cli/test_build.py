import json
import pathlib

import pytest
from click.testing import CliRunner, Result

from imagewright.cli.main import program
from support.scripted import Answer, ScriptedEngine, scripted_engine
from support.terminal import terminal

ID = "sha256:" + "0123456789abcdef" * 4
STREAM = (
    b'{"stream":"Step 1/1 : FROM scratch"}\r\n{"stream":"\\n"}\r\n{"stream":" ---\\u003e \\n"}\r\n'
    b'{"aux":{"ID":"%s"}}\r\n{"stream":"Successfully built 0123456789ab\\n"}\r\n' % ID.encode()
)
FAILURE = (
    b'{"stream":"Step 1/1 : RUN exit 3"}\r\n{"stream":"\\n"}\r\n'
    b'{"errorDetail":{"code":3,"message":"returned 3"},"error":"returned 3"}\r\n'
)


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> str:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return str(tmp_path)


def build(answer: Answer, *arguments: str) -> tuple[Result, ScriptedEngine]:
    with scripted_engine({"POST /build": answer}) as engine:
        return CliRunner().invoke(program, ["build", "-H", engine.host, *arguments]), engine


def test_build(directory: str) -> None:
    result, engine = build(Answer(STREAM), directory, "-t", "a", "-t", "b:1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["Step 1/1 : FROM scratch", " ---> ", "Successfully built 0123456789ab"]
    assert engine.requests[0].query == {"t": ["a:latest", "b:1"], "dockerfile": ["Dockerfile"]}
    assert b"FROM scratch" in engine.requests[0].body


def test_quiet_prints_the_id(directory: str) -> None:
    result, _ = build(Answer(STREAM), "-q", directory)
    assert (result.exit_code, result.stdout, result.stderr) == (0, f"{ID}\n", "")


def test_options(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_ENVIRONMENT", "here")
    monkeypatch.delenv("NOWHERE", raising=False)
    arguments = ["--build-arg", "A=1", "--build-arg", "FROM_ENVIRONMENT", "--build-arg", "NOWHERE", "--label", "l"]
    arguments += ["--explain", "--cache-from", "a", "--cache-from", "b:1"]
    _, engine = build(Answer(STREAM), directory, *arguments, "--no-cache", "--network", "host", "--target", "t")
    query = engine.requests[0].query
    assert json.loads(query["buildargs"][0]) == {"A": "1", "FROM_ENVIRONMENT": "here", "NOWHERE": None}
    assert json.loads(query["labels"][0]) == {"l": ""}
    assert json.loads(query["cachefrom"][0]) == ["a", "b:1"]
    assert query["explain"] == ["1"]
    assert (query["nocache"], query["networkmode"], query["target"]) == (["1"], ["host"], ["t"])


def test_failed_run_gives_its_exit_code(directory: str) -> None:
    result, _ = build(Answer(FAILURE), directory)
    assert result.exit_code == 3
    assert result.stdout == "Step 1/1 : RUN exit 3\n"
    assert result.stderr == "error: returned 3\n"


def test_quiet_failure_prints_the_steps(directory: str) -> None:
    result, _ = build(Answer(FAILURE), "-q", directory)
    assert (result.exit_code, result.stdout) == (3, "")
    assert result.stderr.splitlines() == ["Step 1/1 : RUN exit 3", "error: returned 3"]


def test_bad_tag_is_refused_before_anything_is_sent(directory: str) -> None:
    result, engine = build(Answer(STREAM), directory, "-t", "UPPER")
    assert result.exit_code == 1
    assert result.stderr == "error: invalid reference format: repository name must be lowercase\n"
    assert engine.requests == []


def test_build_on_a_terminal(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_engine({"POST /build": Answer(STREAM)}) as engine, terminal(monkeypatch) as screen:
        program.main(["build", "-H", engine.host, directory], standalone_mode=False)
    assert screen.lines[-2].split() == ["✓", "[1/1]", "FROM", "scratch", "0.0s"]
    assert screen.lines[-1] == "Successfully built 0123456789ab"


@pytest.mark.parametrize("url", ["https://host.invalid/x", "git://host.invalid/x#v1:d", "github.com/x/y"])
def test_what_is_elsewhere_is_for_the_engine_to_fetch(url: str) -> None:
    result, engine = build(Answer(STREAM), url, "-f", "sub/D")
    assert result.exit_code == 0, result.output
    assert engine.requests[0].query == {"remote": [url], "dockerfile": ["sub/D"]}
    assert engine.requests[0].body == b""


def test_a_directory_may_have_the_name_of_a_repository(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    directory = tmp_path / "github.com" / "x"
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\n")
    _, engine = build(Answer(STREAM), "github.com/x")
    assert engine.requests[0].query == {"dockerfile": ["Dockerfile"]}
    assert b"FROM scratch" in engine.requests[0].body
