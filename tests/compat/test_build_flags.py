"""Every flag of `docker build` without BuildKit, as the programs send it, and what it does."""

import contextlib
import functools
import http.server
import io
import os
import pathlib
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from support.bases import busybox_base
from support.builder import context
from support.clients import DockerCli, docker_clis
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.compat("git")

# Where there is no docker program the tests are there all the same, to be skipped with a reason, or to fail under CI.
CLIS = docker_clis() or (DockerCli("docker", ()),)


@dataclass(frozen=True)
class Flag:
    """A flag and what a build with it prints: `shows` in its log, or `fails` with this message."""

    flags: Sequence[str]
    shows: str = ""
    run: str = ""
    fails: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    dockerfile: str = ""

    def text(self) -> str:
        """Return the Dockerfile."""
        return self.dockerfile or (f"FROM base:1\nRUN {self.run}\n" if self.run else "FROM base:1\nLABEL flag=yes\n")


_CONTROL = "cat /sys/fs/cgroup/{0} 2>/dev/null || cat /sys/fs/cgroup/*/{1}"
FLAGS = {
    "build-arg": Flag(
        ["--build-arg", "A=given", "--build-arg", "B", "--build-arg", "C"],
        "given from-outside default",
        environment={"B": "from-outside"},
        dockerfile="FROM base:1\nARG A\nARG B\nARG C=default\nRUN echo $A $B $C\n",
    ),
    "label": Flag(["--label", "l1=v1", "--label", "l2"], "LABEL l1=v1"),
    "no-cache": Flag(["--no-cache"], "Running in"),
    "pull": Flag(["--pull"], fails="connection refused", dockerfile="FROM localhost:1/base:1\n"),
    "pull=false": Flag(["--pull=false"], "Successfully built", dockerfile="FROM localhost:1/base:1\n"),
    "force-rm": Flag(["--force-rm"], fails="returned a non-zero code: 1", run="false"),
    "rm=false": Flag(["--rm=false", "--no-cache"], "Running in"),
    "network none": Flag(["--network", "none"], "interfaces 1", run="echo interfaces $(ip -o link | wc -l)"),
    "network host": Flag(["--network", "host"], "Successfully built"),
    "network of no such name": Flag(["--network", "nope"], fails="network nope not found"),
    "target": Flag(["--target", "one"], "Step 2/2", dockerfile="FROM base:1 AS one\nLABEL a=1\nFROM one\nLABEL b=2\n"),
    "platform": Flag(["--platform", "linux"], "Successfully built"),
    "platform that is none": Flag(["--platform", "a/b/c/d"], fails="cannot parse platform specifier"),
    "isolation": Flag(["--isolation", "default"], "Successfully built"),
    "security-opt": Flag(["--security-opt", "x=y"], fails="does not support setting security options on build"),
    "squash": Flag(["--squash"], fails="experimental"),
    "compress": Flag(["--compress"], "Successfully built"),
    "memory": Flag(
        ["--memory", "64m", "--memory-swap", "64m"],
        "67108864",
        run=_CONTROL.format("memory.max", "memory.limit_in_bytes"),
    ),
    "cpu-shares": Flag(["--cpu-shares", "512"], "Successfully built", run="true"),
    "cpu-quota": Flag(
        ["--cpu-quota", "50000", "--cpu-period", "200000"], "50000", run=_CONTROL.format("cpu.max", "cpu.cfs_quota_us")
    ),
    "cpuset-cpus": Flag(
        ["--cpuset-cpus", "0", "--cpuset-mems", "0"],
        "Cpus_allowed_list:\t0\nMems_allowed_list:\t0\n",
        run="grep _allowed_list /proc/self/status",
    ),
    "cgroup-parent": Flag(["--cgroup-parent", "/imagewright-flags"], "ran", run="echo ran"),
    "shm-size": Flag(["--shm-size", "16m"], "\n16384\n", run="df -k /dev/shm | awk 'NR==2{print $2}'"),
    "ulimit": Flag(["--ulimit", "nofile=100:200"], "100 200", run="echo $(ulimit -n) $(ulimit -Hn)"),
    "add-host": Flag(
        ["--add-host", "one:10.0.0.1", "--add-host", "two:10.0.0.2"],
        "10.0.0.1\tone\n10.0.0.2\ttwo\n",
        run="grep -e one -e two /etc/hosts",
    ),
    "cache-from": Flag(["--cache-from", "base:1", "--cache-from", "localhost:1/nope:1"], "Successfully built"),
}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with daemon(str(tmp_path_factory.mktemp("engine"))) as running:
        status, body = request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
        assert status == 200, body
        assert request(running.socket, "POST", "/images/base:1/tag?repo=localhost:1/base&tag=1")[0] == 201
        yield running


@pytest.fixture(params=CLIS, ids=str)
def cli(request: pytest.FixtureRequest) -> DockerCli:
    chosen: DockerCli = request.param
    return chosen


def _directory(tmp_path: pathlib.Path, dockerfile: str, **files: str) -> str:
    for name, text in {"Dockerfile": dockerfile, **files}.items():
        (tmp_path / name).write_text(text)
    return str(tmp_path)


@pytest.mark.parametrize("name", FLAGS)
def test_flag(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path, name: str) -> None:
    flag = FLAGS[name]
    # Each program has its own step, which is not yet in the cache.
    where = _directory(tmp_path, flag.text().replace("RUN ", f"RUN : {cli}; "))
    done = cli.run(engine.host, "build", *flag.flags, where, environment=flag.environment)
    log, error = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == (1 if flag.fails else 0), log + error
    assert flag.fails in error
    assert flag.shows in log


def test_tags_and_the_file_with_the_id(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path) -> None:
    identifier = tmp_path / "iid"
    where = _directory(tmp_path, f"FROM base:1\nLABEL tags={cli}\n")
    arguments = ("-t", f"{cli}:1", "-t", f"ns/{cli}:2", "--iidfile", str(identifier))
    log = cli.ok(engine.host, "build", *arguments, where)
    image = identifier.read_text()
    assert f"Successfully built {image[7:19]}\nSuccessfully tagged {cli}:1\nSuccessfully tagged ns/{cli}:2\n" in log
    listed = cli.ok(engine.host, "images", "--no-trunc", "-q", "--filter", f"label=tags={cli}").split()
    assert listed == [image, image]
    assert cli.ok(engine.host, "build", "-q", where) == f"{image}\n"


def test_where_a_dockerfile_and_a_context_come_from(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path) -> None:
    build = functools.partial(cli.ok, engine.host, "build", "--no-cache")
    where = _directory(tmp_path, "FROM base:1\nLABEL its=default\n", other="FROM base:1\nCOPY file /\n", file="x")
    (tmp_path / ".dockerignore").write_text("ignored\nother\n.dockerignore\n")
    (tmp_path / "ignored").write_text("x")
    outside = tmp_path.parent / f"outside-{cli}"
    outside.write_text("FROM base:1\nCOPY . /all\nRUN ls -A /all\n")
    assert "COPY file /" in build("-f", f"{where}/other", where)
    assert "\nDockerfile\nfile\n" in build("-f", str(outside), where)
    assert "\nDockerfile\nfile\n" in build("-f", "-", where, data=outside.read_bytes())
    assert "LABEL its=piped" in build("-", data=b"FROM base:1\nLABEL its=piped\n")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(where, ".")
    assert "LABEL its=default" in build("-", data=packed.getvalue())
    assert "COPY file /" in build("-f", "other", "-", data=packed.getvalue())


def test_contexts_that_the_programs_fetch(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "Dockerfile").write_text("FROM base:1\nLABEL its=http\n")
    (served / "context.tar").write_bytes(context("FROM base:1\nCOPY x /\n", {"x": "x"}))
    _repository(tmp_path / "work", served / "app.git")
    with _serving(str(served)) as address:
        assert "LABEL its=http" in cli.ok(engine.host, "build", f"{address}/Dockerfile")
        assert "COPY x /" in cli.ok(engine.host, "build", f"{address}/context.tar")
        assert "LABEL its=git" in cli.ok(engine.host, "build", f"{address}/app.git#main:sub")
        missing = cli.run(engine.host, "build", f"{address}/nope")
    assert missing.returncode == 1


FAILURES: Mapping[str, tuple[str, int, str]] = {
    "exit code": (
        "FROM base:1\nRUN exit 255\n",
        255,
        "The command '/bin/sh -c exit 255' returned a non-zero code: 255",
    ),
    "missing file": ("FROM base:1\nCOPY nope /\n", 1, "COPY failed: file not found in build context"),
    "bad Dockerfile": ("FROM base:1\nFOO\n", 1, "dockerfile parse error line 2: unknown instruction: FOO"),
    "no such base": ("FROM localhost:1/nope\n", 1, "connection refused"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_what_went_wrong(cli: DockerCli, engine: Daemon, tmp_path: pathlib.Path, name: str) -> None:
    dockerfile, code, message = FAILURES[name]
    where = _directory(tmp_path, dockerfile)
    for arguments in ((), ("-q",)):
        done = cli.run(engine.host, "build", *arguments, where)
        assert (done.returncode, message in done.stderr.decode()) == (code, True), done


def _repository(work: pathlib.Path, bare: pathlib.Path) -> None:
    """Make a repository with a Dockerfile in `sub`, to be fetched over plain HTTP."""
    (work / "sub").mkdir(parents=True)
    (work / "sub" / "Dockerfile").write_text("FROM base:1\nLABEL its=git\n")
    who = ("-c", "user.name=x", "-c", "user.email=x@y")
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    run: Callable[..., object] = functools.partial(subprocess.run, check=True, capture_output=True, env=environment)
    run(["git", "init", "-q", "-b", "main", str(work)])
    run(["git", "-C", str(work), "add", "."])
    run(["git", "-C", str(work), *who, "commit", "-q", "-m", "x"])
    run(["git", "clone", "-q", "--bare", str(work), str(bare)])
    run(["git", "-C", str(bare), "update-server-info"])


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def _serving(directory: str) -> Iterator[str]:
    """Serve the files of `directory` over HTTP until the block ends; yield the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=directory))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
