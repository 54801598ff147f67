import json
import os
import pathlib

import pytest
from click.testing import CliRunner, Result

from imagewright.cli.main import program


@pytest.fixture
def directory(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch as b\nCMD echo \\\n  hi\n")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(program, ["check", *arguments])


def test_findings_are_printed_with_their_lines(directory: pathlib.Path) -> None:
    result = run(str(directory))
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0] == f"{directory}/Dockerfile:1: FromAsCasing: 'as' should be in the case of 'FROM'"
    assert lines[1] == "    FROM scratch as b"
    assert lines[3].startswith(f"{directory}/Dockerfile:2: JSONArgsRecommended: ")
    assert lines[4] == "    CMD echo \\"
    assert len(lines) == 6


def test_nothing_to_say(directory: pathlib.Path) -> None:
    (directory / "Dockerfile").write_text('FROM scratch\nCMD ["x"]\n')
    result = run(str(directory))
    assert (result.exit_code, result.output) == (0, "")


def test_json(directory: pathlib.Path) -> None:
    result = run(str(directory), "--format", "json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert document["error"] is None
    assert [(it["rule"], it["line"], it["end_line"], it["source"]) for it in document["findings"]] == [
        ("FromAsCasing", 1, 1, "FROM scratch as b"),
        ("JSONArgsRecommended", 2, 3, "CMD echo \\"),
    ]
    assert document["findings"][0]["url"].endswith("/from-as-casing/")


def test_an_error_is_something_to_say(directory: pathlib.Path) -> None:
    (directory / "Dockerfile").write_text("FROM scratch\nNOPE x\n")
    result = run(str(directory))
    assert result.exit_code == 1
    assert result.stderr.endswith(f"unknown instruction: NOPE\n  {directory}/Dockerfile:2: NOPE x\n")
    result = run(str(directory), "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["line"] == 2
    assert json.loads(result.stdout)["error"]["source"] == "NOPE x"


def test_wrong_directive_is_an_error(directory: pathlib.Path) -> None:
    (directory / "Dockerfile").write_text("# check=x=y\nFROM scratch\n")
    result = run(str(directory))
    assert (result.exit_code, result.stderr) == (1, 'error: failed to parse check options: invalid check option "x"\n')


def test_file_target_build_args_and_platform(
    directory: pathlib.Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other") / "Other"
    other.write_text("ARG V=/x\nFROM scratch AS a\nARG V\nWORKDIR $V\nFROM --platform=$TARGETPLATFORM c AS b\nCMD d\n")
    assert run(str(directory), "-f", str(other), "--target", "a").stdout.count(":") > 0
    rules = [line.split(": ")[1] for line in run(str(directory), "-f", str(other)).stdout.splitlines()[::3]]
    assert rules == ["RedundantTargetPlatform", "JSONArgsRecommended"]
    monkeypatch.setenv("V", "relative")
    result = run(str(directory), "-f", str(other), "--target", "a", "--build-arg", "V", "--platform", "linux/arm64")
    assert [line.split(": ")[1] for line in result.stdout.splitlines()[::3]] == [
        "WorkdirRelativePath",
        "RedundantTargetPlatform",
    ]


def test_ignored_files_count(directory: pathlib.Path) -> None:
    (directory / "Dockerfile").write_text("# check=experimental=CopyIgnoredFile\nFROM scratch\nCOPY a b /\n")
    (directory / ".dockerignore").write_text("a\n")
    assert "'a'" in run(str(directory)).stdout
    (directory / "Dockerfile.dockerignore").write_text("b\n")
    assert "'b'" in run(str(directory)).stdout


@pytest.mark.parametrize("kind", ["pipe", "device", "directory"])
def test_a_dockerfile_that_is_no_file(tmp_path: pathlib.Path, kind: str) -> None:
    dockerfile = tmp_path / "Dockerfile"
    if kind == "pipe":
        os.mkfifo(dockerfile)
    elif kind == "device":
        dockerfile.symlink_to("/dev/zero")
    else:
        dockerfile.mkdir()
    result = run(str(tmp_path))
    expected = f"error: unable to read the Dockerfile: '{tmp_path}/Dockerfile' is not a file\n"
    assert (result.exit_code, result.stderr) == (1, expected)


def test_a_dockerfile_that_is_too_large(directory: pathlib.Path) -> None:
    with (directory / "Dockerfile").open("ab") as file:
        file.truncate(4 << 20)
        assert "dockerfile line greater than" in run(str(directory)).stderr
        file.truncate((4 << 20) + 1)
    result = run(str(directory))
    assert (result.exit_code, result.stderr) == (
        1,
        f"error: the Dockerfile ({directory}/Dockerfile) is larger than 4 MiB\n",
    )


def test_missing_dockerfile(directory: pathlib.Path) -> None:
    (directory / "Dockerfile").unlink()
    result = run(str(directory))
    assert (result.exit_code, result.stderr) == (1, "error: unable to read the Dockerfile: No such file or directory\n")
