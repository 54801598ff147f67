import base64
import json
import pathlib
import socket

import pytest
from click.testing import CliRunner, Result

from imagewright.cli.main import program
from support.builder import archive
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


def test_limits(directory: str) -> None:
    arguments = (
        "-m 64m --memory-swap -1 -c 512 --cpuset-cpus 0-1 --cpuset-mems 0 --cpu-period 50000 --cpu-quota 25000 "
        "--cgroup-parent /a --shm-size 1g --ulimit nofile=100:200 --ulimit core=0 --add-host a:1.2.3.4 --add-host b=::1"
    )
    result, engine = build(Answer(STREAM), directory, *arguments.split())
    assert result.exit_code == 0, result.output
    query = {name: values for name, values in engine.requests[0].query.items() if name != "dockerfile"}
    ulimits = json.loads(query.pop("ulimits")[0])
    assert ulimits == [{"Name": "nofile", "Soft": 100, "Hard": 200}, {"Name": "core", "Soft": 0, "Hard": 0}]
    assert query == {
        "memory": [str(64 << 20)],
        "memswap": ["-1"],
        "cpushares": ["512"],
        "cpusetcpus": ["0-1"],
        "cpusetmems": ["0"],
        "cpuperiod": ["50000"],
        "cpuquota": ["25000"],
        "cgroupparent": ["/a"],
        "shmsize": [str(1 << 30)],
        "extrahosts": ["a:1.2.3.4", "b:::1"],
    }


def test_named_contexts(directory: str) -> None:
    arguments = [
        "--build-context",
        "base=docker-image://one:1",
        "--build-context",
        "src=https://host.invalid/x.git#v1:d",
    ]
    result, engine = build(Answer(STREAM), directory, *arguments)
    assert result.exit_code == 0, result.output
    contexts = json.loads(engine.requests[0].query["contexts"][0])
    assert contexts == {"base": "docker-image://one:1", "src": "https://host.invalid/x.git#v1:d"}


def test_flags(directory: str) -> None:
    _, engine = build(Answer(STREAM), directory, "--no-rm", "--squash", "--pull", "--platform", "linux/arm/v7")
    query = engine.requests[0].query
    assert (query["rm"], query["squash"], query["pull"], query["platform"]) == (["0"], ["1"], ["1"], ["linux/arm/v7"])
    assert "forcerm" not in query
    _, engine = build(Answer(STREAM), directory, "--rm", "--force-rm")
    assert engine.requests[0].query == {"dockerfile": ["Dockerfile"], "forcerm": ["1"]}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-m", "lots"), "invalid size: 'lots'"),
        (("--ulimit", "x"), "invalid ulimit argument: 'x'"),
        (("--add-host", "x"), "bad format for add-host: 'x'"),
        (("--platform", "a/b/c/d"), "cannot parse platform specifier"),
        (("--build-context", "a"), "--build-context a: a value is missing"),
        (("--build-context", "a="), "--build-context a: a value is missing"),
        (("--build-context", "a=."), "--build-context a: a directory cannot be sent beside the context: ."),
        (("--build-context", "a=/etc"), "--build-context a: a directory cannot be sent beside the context: /etc"),
        (("--build-context", "a b=base"), "contexts: invalid context name 'a b'"),
        (("--build-context", "a=foo://x"), "contexts: a: a context of the kind foo:// is not known"),
        (("--build-context", "a=one", "--build-context", "A=two"), "contexts: a is there in two spellings"),
        (("-o", "a", "-o", "b"), "multiple outputs are not supported"),
        (("-o", "a", "--iidfile", "b"), "--iidfile: who asks for files is not told the image id"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    directory: str, arguments: tuple[str, ...], message: str
) -> None:
    result, engine = build(Answer(STREAM), directory, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert engine.requests == []


def test_the_file_of_the_id(directory: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "id"
    build(Answer(STREAM), directory, "--iidfile", str(path))
    assert path.read_text() == ID
    build(Answer(FAILURE), directory, "--iidfile", str(path))
    assert not path.exists()


def test_files_go_to_a_directory(directory: str, tmp_path: pathlib.Path) -> None:
    answer = Answer(archive({"f": "x"}), content_type="application/x-tar")
    result, engine = build(answer, directory, "-o", str(tmp_path / "out"))
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert (tmp_path / "out/f").read_text() == "x"
    assert json.loads(engine.requests[0].query["outputs"][0]) == [{"Type": "tar"}]


def test_files_go_to_standard_output(directory: str) -> None:
    tar = archive({"f": "x"})
    result, _ = build(Answer(tar, content_type="application/x-tar"), directory, "-o", "-")
    assert result.stdout_bytes == tar


def test_an_engine_that_knows_no_outputs(directory: str, tmp_path: pathlib.Path) -> None:
    result, _ = build(Answer(STREAM), directory, "-o", f"type=tar,dest={tmp_path}/a.tar")
    assert (result.exit_code, result.stderr) == (1, "error: the engine does not hand out the files of what it builds\n")
    assert not (tmp_path / "a.tar").exists()


def test_secrets_go_in_a_header(directory: str) -> None:
    arguments = ["--secret", "id=a,env=SECRET_OF_TEST", "--allow", "network.host"]
    with scripted_engine({"POST /build": Answer(STREAM)}) as engine:
        command = ["build", "-H", engine.host, directory, *arguments]
        result = CliRunner().invoke(program, command, env={"SECRET_OF_TEST": "hush"})
    assert result.exit_code == 0, result.output
    headers = {name.lower(): value for name, value in engine.requests[0].headers.items()}
    document = json.loads(base64.urlsafe_b64decode(headers["x-build-secrets"]))
    assert document == {"a": base64.b64encode(b"hush").decode()}
    assert engine.requests[0].query["allow"] == ["network.host"]
    assert "hush" not in json.dumps(engine.requests[0].query)


def test_an_agent_cannot_go_to_another_process(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind("agent")
        result, engine = build(Answer(STREAM), directory, "--ssh", "default=agent")
    assert result.exit_code == 1
    assert "serve --ssh-agent" in result.stderr
    assert not engine.requests
