import json
import os
import pathlib

import pytest
from click.testing import CliRunner, Result

from imagewright.cli.main import program

_HIDDEN = "sent for the engine to read, but COPY and ADD do not see it"


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "large").write_bytes(b"x" * 2_000_000)
    (tmp_path / "d" / "e" / "keep").write_bytes(b"x" * 500)
    (tmp_path / "a.log").write_bytes(b"x" * 100)
    (tmp_path / "link").symlink_to("d")
    (tmp_path / ".dockerignore").write_text("# a comment\n\n*.log\nDockerfile\nd/e\n!d/e/keep\n")
    os.mkfifo(tmp_path / "fifo")
    return tmp_path


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(program, ["context", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def test_report(directory: pathlib.Path) -> None:
    lines = run(str(directory)).stdout.splitlines()
    assert lines == [
        "2MB (2000557 bytes): files 4, directories 1, links 1, others 1",
        "Filtered by .dockerignore",
        "Largest at the top:",
        "       2MB  d/",
        "       44B  .dockerignore",
        "       13B  Dockerfile",
        "Largest files:",
        "       2MB  d/large",
        "      500B  d/e/keep",
        "       44B  .dockerignore",
        "       13B  Dockerfile",
    ]


def test_report_as_json(directory: pathlib.Path) -> None:
    document = json.loads(run(str(directory), "--format", "json").stdout)
    assert {key: document[key] for key in ("size", "files", "directories", "links", "others", "ignore_file")} == {
        "size": 2000557,
        "files": 4,
        "directories": 1,
        "links": 1,
        "others": 1,
        "ignore_file": ".dockerignore",
    }
    assert document["top"][0] == {"path": "d/", "size": 2000500}
    assert document["largest"][0] == {"path": "d/large", "size": 2000000}


def test_nothing_filters(directory: pathlib.Path) -> None:
    (directory / ".dockerignore").unlink()
    assert "Filtered by nothing: there is no .dockerignore" in run(str(directory)).stdout


def test_empty_directory(tmp_path: pathlib.Path) -> None:
    assert run(str(tmp_path)).stdout.startswith("0B (0 bytes): nothing\n")
    assert json.loads(run(str(tmp_path), "--format", "json").stdout)["ignore_file"] is None


def test_list(directory: pathlib.Path) -> None:
    (directory / os.fsdecode(b"\xff")).write_text("")
    output = CliRunner().invoke(program, ["context", str(directory), "--list"]).stdout_bytes
    assert output.splitlines() == [
        *(b".dockerignore", b"Dockerfile", b"d", b"d/e/keep", b"d/large", b"fifo", b"link", b"\xff"),
    ]


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("a.log", "a.log: ignored by .dockerignore:3: *.log"),
        ("x.log/y", "x.log/y: ignored by .dockerignore:3: *.log (not there)"),
        ("d/e/", "d/e: ignored by .dockerignore:5: d/e"),
        ("/d/e/keep", "d/e/keep: included by .dockerignore:6: !d/e/keep"),
        ("d/../d/large", "d/large: included: no pattern matches"),
        ("/", ".: included: no pattern matches"),
        (
            "Dockerfile",
            f"Dockerfile: ignored by .dockerignore:4: Dockerfile ({_HIDDEN})",
        ),
        ("new\nline", "new\\x0aline: included: no pattern matches (not there)"),
    ],
)
def test_paths(directory: pathlib.Path, path: str, answer: str) -> None:
    assert run(str(directory), path).stdout == f"{answer}\n"


def test_paths_as_json(directory: pathlib.Path) -> None:
    assert json.loads(run(str(directory), "a.log", "link", "--format", "json").stdout) == [
        {"path": "a.log", "ignored": True, "file": ".dockerignore", "line": 3, "pattern": "*.log"},
        {"path": "link", "ignored": False, "file": None, "line": None, "pattern": None},
    ]


def test_path_outside(directory: pathlib.Path) -> None:
    result = run(str(directory), "../x")
    assert (result.exit_code, result.stderr) == (1, "error: '../x' is outside of the build context\n")


def test_file_beside_the_dockerfile_counts_instead(directory: pathlib.Path) -> None:
    (directory / "d" / "My.dockerignore").write_text("!x\nd/large\n")
    (directory / "d" / "My").write_text("FROM scratch\n")
    result = run(str(directory), "-f", str(directory / "d" / "My"), "d/large", "a.log")
    assert result.stdout.splitlines() == [
        "d/large: ignored by d/My.dockerignore:2: d/large",
        "a.log: included: no pattern matches",
    ]


def test_malformed_pattern_names_its_file(directory: pathlib.Path) -> None:
    (directory / ".dockerignore").write_text("a[\n")
    result = run(str(directory))
    assert (result.exit_code, result.stderr) == (1, "error: .dockerignore: syntax error in pattern\n")
