"""What a RUN of a build may use, read inside its container and from its control groups."""

import io
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from imagewright.engine import BuildRequest, Engine, Limits, Surroundings, Ulimit
from imagewright.errors import ImagewrightError, RunFailed
from imagewright.events import ContainerStarted
from imagewright.oci import Platform
from imagewright.sandbox.cgroups import find_hierarchies
from support.bases import busybox_base
from support.builder import Member, context
from support.engines import Log, build, leftovers, reference

pytestmark = pytest.mark.privileged

MIB = 1 << 20
# Fills memory until something stops it.
FILL = "FROM busybox\nRUN dd if=/dev/zero of=/dev/null bs=200M count=1\n"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with Engine(str(tmp_path_factory.mktemp("engine"))) as engine:
        engine.import_(io.BytesIO(busybox_base()), reference=reference("busybox"))
        yield engine


def run(
    engine: Engine, script: str, *, shm_size: int = 64 << 20, extra_hosts: tuple[str, ...] = (), **limits: Any
) -> str:
    """Return what `script` writes in a RUN with `limits`."""
    log = Log()
    surroundings = Surroundings(limits=Limits(**limits), shm_size=shm_size, extra_hosts=extra_hosts)
    request = BuildRequest(no_cache=True, force_remove=True, surroundings=surroundings, network_mode="none")
    build(engine, f"FROM busybox\nRUN {script}\n", request=request, log=log)
    assert leftovers(engine.info().data_root) == []
    return log.output


def control(engine: Engine, file: str, **limits: Any) -> str:
    """Return what the file of its control group says to a RUN with `limits`."""
    # Whichever of the two versions has it.
    return run(engine, f"cat /sys/fs/cgroup/*/{file} 2>/dev/null || cat /sys/fs/cgroup/{file}", **limits).strip()


def test_memory(engine: Engine) -> None:
    file = "memory.limit_in_bytes" if find_hierarchies().legacy else "memory.max"
    assert control(engine, file, memory=32 * MIB) == str(32 * MIB)


def test_swap(engine: Engine) -> None:
    if not find_hierarchies().legacy:
        pytest.skip("version 2 counts swap alone")
    file = "memory.memsw.limit_in_bytes"
    assert control(engine, file, memory=32 * MIB) == str(64 * MIB)
    assert control(engine, file, memory=32 * MIB, memory_swap=40 * MIB) == str(40 * MIB)
    assert int(control(engine, file, memory=32 * MIB, memory_swap=-1)) > 1 << 50


def test_cpu(engine: Engine) -> None:
    if not find_hierarchies().legacy:
        assert control(engine, "cpu.max", cpu_quota=50_000, cpu_period=200_000) == "50000 200000"
        return
    assert control(engine, "cpu.shares", cpu_shares=512) == "512"
    assert control(engine, "cpu.cfs_quota_us", cpu_quota=50_000, cpu_period=200_000) == "50000"
    assert control(engine, "cpu.cfs_period_us", cpu_quota=50_000, cpu_period=200_000) == "200000"
    assert control(engine, "cpu.cfs_quota_us", cpu_quota=-5) == "-1"


def test_cpus_and_memory_nodes(engine: Engine) -> None:
    output = run(engine, "grep _allowed_list /proc/self/status", cpuset_cpus="0", cpuset_mems="0")
    assert output.split() == ["Cpus_allowed_list:", "0", "Mems_allowed_list:", "0"]


def test_ulimits(engine: Engine) -> None:
    ulimits = (Ulimit("nofile", 100, 200), Ulimit("NPROC", 900, 901), Ulimit("core", 1, 2), Ulimit("core", 0, -1))
    lines = run(engine, "cat /proc/self/limits", ulimits=ulimits)
    assert re.search(r"Max open files +100 +200 +files", lines)
    assert re.search(r"Max processes +900 +901 +processes", lines)
    assert re.search(r"Max core file size +0 +unlimited +bytes", lines)


def test_shared_memory(engine: Engine) -> None:
    assert run(engine, "df -k /dev/shm | tail -1", shm_size=3 * MIB).split()[1] == "3072"


def test_extra_hosts(engine: Engine) -> None:
    lines = run(engine, "cat /etc/hosts", extra_hosts=("one:1.2.3.4", "six:fd00::6")).splitlines()
    assert "1.2.3.4\tone" in lines
    assert "fd00::6\tsix" in lines


@pytest.mark.parametrize("parent", ["imagewright-test-parent", "/imagewright-test-parent/inner"])
def test_cgroup_parent(engine: Engine, parent: str) -> None:
    hierarchies = find_hierarchies()
    roots = [root for root in (*(mountpoint for mountpoint, _ in hierarchies.legacy), hierarchies.unified) if root]
    seen: list[int] = []

    def report(event: object) -> None:
        if not isinstance(event, ContainerStarted):
            # The container waits for its output to be read.
            seen.extend(len(list(Path(root, parent.strip("/")).glob("imagewright-*"))) for root in roots)

    request = BuildRequest(
        no_cache=True, force_remove=True, surroundings=Surroundings(limits=Limits(cgroup_parent=parent))
    )
    try:
        with pytest.raises(RunFailed):
            engine.build(
                io.BytesIO(context("FROM busybox\nRUN yes | head -c 1000000; exit 3\n")), request, report=report
            )
        assert 1 in seen
        left = [path for root in roots for path in Path(root, parent.strip("/")).glob("imagewright-*")]
        assert left == []
    finally:
        for root in roots:
            for name in ("imagewright-test-parent/inner", "imagewright-test-parent"):
                path = Path(root, name)
                if path.exists():
                    path.rmdir()


def _own_groups(engine: Engine) -> str:
    """Return how the names of the engine's control groups begin."""
    return f"/imagewright-{sha256(f'{engine.info().data_root}/run'.encode()).hexdigest()[:12]}-"


def test_a_step_that_is_killed_for_its_memory_says_so(engine: Engine) -> None:
    limits = Limits(memory=32 * MIB, memory_swap=32 * MIB)
    request = BuildRequest(force_remove=True, surroundings=Surroundings(limits=limits))
    with pytest.raises(RunFailed) as raised:
        build(engine, FILL, request=request)
    assert raised.value.exit_code == 137
    assert str(raised.value) == (
        "The command '/bin/sh -c dd if=/dev/zero of=/dev/null bs=200M count=1' returned a non-zero code: 137: "
        "a process was killed because the memory limit of 33554432 bytes was reached"
    )
    assert leftovers(engine.info().data_root) == []
    assert find_hierarchies().find(_own_groups(engine)) == set()


def test_a_step_that_is_killed_otherwise_does_not(engine: Engine) -> None:
    surroundings = Surroundings(limits=Limits(memory=32 * MIB))
    with pytest.raises(RunFailed, match=r"returned a non-zero code: 137$"):
        build(
            engine,
            "FROM busybox\nRUN sh -c 'kill -9 $$'; exit $?\n",
            request=BuildRequest(force_remove=True, surroundings=surroundings),
        )


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"cpu_shares": -1}, "shares: invalid argument"),
        ({"cpu_shares": 1}, "the minimum allowed cpu-shares is 2"),
        ({"ulimits": (Ulimit("zzz", 1, 2),)}, "runc create failed: wrong rlimit value: RLIMIT_ZZZ: unknown"),
        ({"ulimits": (Ulimit("nofile", 200, 100),)}, "error setting rlimit type 7: invalid argument: unknown"),
        ({"memory": 1}, "Minimum memory limit allowed is 6MB"),
    ],
)
def test_what_no_container_can_have(engine: Engine, limits: dict[str, Any], message: str) -> None:
    with pytest.raises(ImagewrightError) as raised:
        run(engine, "true", **limits)
    assert message in str(raised.value)
    assert leftovers(engine.info().data_root) == []


def test_limits_are_looked_at_by_the_first_step_that_needs_a_container(engine: Engine) -> None:
    request = BuildRequest(surroundings=Surroundings(limits=Limits(memory=1)), force_remove=True)
    build(engine, "FROM busybox\nCOPY Dockerfile /limits\n", request=request)
    log = Log()
    with pytest.raises(ImagewrightError, match="Minimum memory limit allowed is 6MB"):
        build(engine, "FROM busybox\nCOPY Dockerfile /limits\nENV LIMITED=1\n", request=request, log=log)
    assert not [event for event in log.events if isinstance(event, ContainerStarted)]
    assert engine.containers() == []


def test_a_program_for_another_machine(engine: Engine) -> None:
    # As much of an ELF header as says that it is for AArch64, or for a machine that is not this one.
    program = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + b"\2\0" + b"\xb7\0" + bytes(4096)
    files = {"program": Member(program, mode=0o755)}
    request = BuildRequest(platform=Platform("linux", "s390x"), force_remove=True)
    image = build(engine, "FROM scratch\nCOPY program /\n", files, request=request)
    assert engine.inspect(str(image)).config.architecture == "s390x"
    with pytest.raises(RunFailed, match=r"code: 1: the program cannot run on this machine, which is linux/") as raised:
        build(engine, 'FROM scratch\nCOPY program /\nRUN ["/program"]\n', files, request=request)
    assert raised.value.exit_code == 1


def test_limits_are_no_part_of_the_cache_key(engine: Engine) -> None:
    dockerfile = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /cached\n"
    image = build(engine, dockerfile)
    limited = Surroundings(limits=Limits(memory=32 * MIB), extra_hosts=("a:1.2.3.4",))
    assert build(engine, dockerfile, request=BuildRequest(surroundings=limited)) == image
