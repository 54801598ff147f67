"""`imagewright debug` of a RUN that had mounts: those that are still there, and a word on the rest."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import imagewright
from imagewright.engine import BuildRequest, Engine, Limits, Surroundings, Ulimit
from imagewright.errors import ImagewrightError, RunFailed
from support.bases import busybox_base
from support.builder import context
from support.engines import leftovers, reference

pytestmark = pytest.mark.privileged

DOCKERFILE = """\
FROM busybox AS made
RUN mkdir /d && echo made > /d/f
FROM scratch AS empty
FROM busybox
RUN --mount=from=made,source=/d,target=/made --mount=from=empty,target=/empty --mount=target=/context \\
    --mount=type=cache,id=c,target=/cache,uid=5 --mount=type=tmpfs,target=/memory,size=1m \\
    --mount=type=secret,id=token,mode=0444 --mount=type=secret,id=token,env=TOKEN --mount=type=ssh \\
    echo cached > /cache/f; exit 3
"""
_SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(imagewright.__file__)))


@dataclass(frozen=True)
class Failed:
    data_root: str
    container: str

    def run(self, script: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-m", "imagewright", "debug", "--data-root", self.data_root, *options]
        return subprocess.run(
            [*program, self.container, "--", "sh", "-c", script],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": _SOURCES, **environment},
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Failed]:
    data_root = str(tmp_path_factory.mktemp("engine"))
    with Engine(data_root) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        with pytest.raises(RunFailed):
            engine.build(io.BytesIO(context(DOCKERFILE)), BuildRequest(secrets={"token": b"hush-4711"}))
        (container,) = engine.containers()
    yield Failed(data_root, container.id)
    assert leftovers(data_root) == []


def test_mounts_are_there_once_more(failed: Failed) -> None:
    script = "cat /made/f /cache/f /run/secrets/token; echo $TOKEN; ls -A /empty; stat -c %u /cache; df -m /memory"
    result = failed.run(script, "--secret", "id=token,env=LENT", LENT="lent")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("made\ncached\nlentlent\n5\n")
    assert "tmpfs" in result.stdout.splitlines()[-1]
    assert result.stderr.splitlines() == [
        "note: /context is not there: the build context is gone",
        "note: the ssh agent default is not here: lend one with --ssh default",
    ]


def test_secrets_have_to_be_lent_again(failed: Failed) -> None:
    result = failed.run("ls /run/secrets; echo .$TOKEN.")
    assert result.stdout == "..\n"
    assert result.stderr.count("note: the secret token is not kept: lend it with --secret id=token") == 1


def test_what_is_written_to_mounts_is_thrown_away(failed: Failed) -> None:
    result = failed.run("! touch /made/x && echo more > /cache/g && ls /cache")
    assert (result.returncode, result.stdout) == (0, "f\ng\n")
    assert failed.run("ls /cache").stdout == "f\n"


def test_a_source_that_was_never_there(failed: Failed) -> None:
    with Engine(failed.data_root) as engine:
        before = {container.id for container in engine.containers()}
        step = "RUN --mount=type=cache,from=made,source=/nope,target=/x true"
        with pytest.raises(ImagewrightError, match="/nope"):
            engine.build(io.BytesIO(context(f"FROM busybox AS made\nFROM busybox\n{step}")), BuildRequest())
        (container,) = (found.id for found in engine.containers() if found.id not in before)
    result = Failed(failed.data_root, container).run("echo there")
    assert (result.returncode, result.stdout) == (0, "there\n")
    assert result.stderr == "note: /x is not there: the cache has nothing to begin with\n"


def test_limits_hosts_and_security_are_those_of_the_step(failed: Failed) -> None:
    limits = Limits(memory=64 << 20, ulimits=(Ulimit("nofile", 123, 456),))
    surroundings = Surroundings(limits=limits, shm_size=3 << 20, extra_hosts=("there:10.1.2.3",))
    with Engine(failed.data_root, entitlements={"security.insecure"}) as engine:
        before = {container.id for container in engine.containers()}
        request = BuildRequest(surroundings=surroundings, allow=frozenset({"security.insecure"}))
        with pytest.raises(RunFailed):
            engine.build(io.BytesIO(context("FROM busybox\nRUN --security=insecure exit 3")), request)
        (container,) = (found.id for found in engine.containers() if found.id not in before)
    script = "ulimit -n; grep there /etc/hosts; df -k /dev/shm | tail -1; sed -n 's/^CapEff:.//p' /proc/self/status"
    script += "; cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes"
    result = Failed(failed.data_root, container).run(script)
    lines = result.stdout.splitlines()
    assert (lines[0], lines[1].split(), lines[2].split()[1]) == ("123", ["10.1.2.3", "there"], "3072")
    assert str(64 << 20) in lines
    assert "note: nothing confines this process" in result.stderr
    assert int(lines[3], 16) & 1 << 21


def test_caches_and_layers_that_are_gone(failed: Failed) -> None:
    with Engine(failed.data_root) as engine:
        engine.prune_caches()
        engine.prune(dangling=True)
    result = failed.run("ls -A /cache; ls -dn /cache")
    assert result.returncode == 0, result.stderr
    assert "5        0" in result.stdout
    assert "note: the cache at /cache is empty: it is gone" in result.stderr
    assert "note: /made is not there: the layers of its stage or image are gone" in result.stderr
