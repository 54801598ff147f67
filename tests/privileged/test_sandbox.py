"""Containers run by the real runtime of this machine, and what is left when they have ended: nothing."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Conflict, InvalidInput, SystemFailure
from imagewright.filesystem.tree import Directory
from imagewright.sandbox import Channel, Limits, RunRequest, Sandbox, Ulimit
from support.box import Box

pytestmark = pytest.mark.privileged


@pytest.fixture(name="box")
def make_box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    yield box
    box.sandbox.close()
    assert box.leavings() == []


def wait_until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class TestOutput:
    def test_channels_are_separate_and_each_in_order(self, box: Box) -> None:
        outcome = box.shell("for i in 1 2 3; do echo out$i; echo err$i >&2; done; exit 3")
        assert outcome.code == 3
        assert outcome.stdout == "out1\nout2\nout3\n"
        assert outcome.stderr == "err1\nerr2\nerr3\n"

    def test_nothing_is_clipped(self, box: Box) -> None:
        outcome = box.shell("seq 1 500000; seq 1 100000 >&2")
        assert outcome.stdout == "".join(f"{number}\n" for number in range(1, 500_001))
        assert outcome.stderr == "".join(f"{number}\n" for number in range(1, 100_001))

    def test_arrives_while_the_process_runs(self, box: Box) -> None:
        times: list[float] = []
        box.sandbox.run(
            box.request("sh", "-c", "echo first; sleep 0.2; echo last"),
            output=lambda _c, _d: times.append(time.monotonic()),
            cancellation=Cancellation(),
        )
        assert times[-1] - times[0] > 0.1

    def test_a_reader_that_blocks_holds_the_process_up(self, box: Box) -> None:
        request = box.request("sh", "-c", "dd if=/dev/zero bs=65536 count=64 2>/dev/null; touch /done")
        release = threading.Event()
        sizes: list[int] = []

        def output(_channel: Channel, data: bytes) -> None:
            sizes.append(len(data))
            release.wait(10)

        thread = threading.Thread(target=lambda: box.sandbox.run(request, output=output, cancellation=Cancellation()))
        thread.start()
        wait_until(lambda: sizes)
        time.sleep(0.2)
        assert not Path(request.upper, "done").exists()
        release.set()
        thread.join()
        assert sum(sizes) == 64 * 65536
        assert Path(request.upper, "done").exists()

    def test_an_error_of_the_reader_ends_the_container(self, box: Box) -> None:
        def output(_channel: Channel, _data: bytes) -> None:
            raise BrokenPipeError("gone")

        with pytest.raises(BrokenPipeError, match="gone"):
            box.sandbox.run(
                box.request("sh", "-c", "trap '' TERM PIPE; while :; do echo x; sleep 0.01; done"),
                output=output,
                cancellation=Cancellation(),
            )


class TestProcess:
    def test_exit_codes(self, box: Box) -> None:
        assert box.run("true").code == 0
        assert box.run("false").code == 1
        assert box.shell("sh -c 'kill -9 $$'; exit $?").code == 137

    def test_standard_input_is_empty(self, box: Box) -> None:
        assert box.shell("cat; echo end").stdout == "end\n"

    def test_surroundings(self, box: Box) -> None:
        outcome = box.shell(
            "env; hostname; cat /etc/hostname; cat /etc/hosts; pwd", cwd="/a/b", extra_hosts=(("x", "10.9.8.7"),)
        )
        assert "HOSTNAME=" in outcome.stdout
        assert "IMAGEWRIGHT" not in outcome.stdout
        assert "10.9.8.7\tx\n" in outcome.stdout
        assert outcome.stdout.endswith("/a/b\n")
        assert (outcome.upper / "a/b").is_dir()

    def test_user_and_groups(self, box: Box) -> None:
        outcome = box.run("id", uid=1000, gid=1001, groups=(1002, 1003))
        assert outcome.stdout == "uid=1000 gid=1001 groups=1001,1002,1003\n"

    def test_capabilities(self, box: Box) -> None:
        fourteen = "00000000a80425fb"
        lines = box.shell("sed -n '/^Cap/p' /proc/self/status").stdout.split()
        assert lines[1::2] == ["0" * 16, fourteen, fourteen, fourteen, "0" * 16]
        other = box.shell("sed -n '/^CapEff/p' /proc/self/status", uid=1).stdout.split()
        assert other == ["CapEff:", "0" * 16]

    def test_what_is_forbidden_fails(self, box: Box) -> None:
        for command in (
            "mount -t tmpfs x /tmp",
            "unshare -m true",
            "unshare -U true",
            "echo 1 > /proc/sys/vm/swappiness",
        ):
            outcome = box.shell(command)
            assert outcome.code != 0, command
        assert box.shell("cat /proc/interrupts /proc/kcore /proc/keys 2>/dev/null").stdout == ""

    def test_a_system_call_filter_is_there_and_covers_what_only_the_runtime_needs(
        self, box: Box, tmp_path: Path
    ) -> None:
        script = "sed -n 's/^Seccomp:.//p' /proc/self/status; unshare -n true; echo $?; hostname other; echo $?"
        assert box.shell(script).stdout.split() == ["2", "1", "1"]
        # One that is not known by its name gets the whole profile, and compiles it itself.
        runc = shutil.which("runc")
        assert runc is not None
        (tmp_path / "other").symlink_to(runc)
        box.sandbox = Sandbox(str(tmp_path / "state"), runtime=str(tmp_path / "other"))
        assert box.shell(script).stdout.split() == ["2", "1", "1"]

    def test_standard_output_can_be_opened_by_name(self, box: Box) -> None:
        assert box.shell("echo named > /dev/stdout; echo err > /dev/stderr", uid=1000).stdout == "named\n"

    def test_children_that_are_left_behind_are_killed(self, box: Box) -> None:
        started = time.monotonic()
        assert box.shell("sleep 100 & (sleep 100 &) ; exit 0").code == 0
        assert time.monotonic() - started < 5

    def test_a_program_that_is_missing(self, box: Box) -> None:
        with pytest.raises(SystemFailure) as caught:
            box.run("/nope")
        assert str(caught.value) == (
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
            'process: exec: "/nope": stat /nope: no such file or directory: unknown'
        )

    def test_a_runtime_that_is_missing(self, tmp_path: Path) -> None:
        with pytest.raises(SystemFailure, match="no OCI runtime is installed"):
            Sandbox(str(tmp_path), runtime="/nope/runc").run(
                RunRequest(container_id="0" * 64, argv=("x",), env=(), lowers=(), upper=str(tmp_path)),
                output=lambda _c, _d: None,
                cancellation=Cancellation(),
            )


class TestRootfs:
    def test_mount_points_leave_no_trace(self, box: Box) -> None:
        outcome = box.shell("echo x >> /etc/hosts; touch /dev/x /dev/shm/y; ls -a / /etc")
        assert outcome.code == 0
        assert ".dockerenv" in outcome.stdout
        assert list(outcome.upper.iterdir()) == []

    def test_the_image_s_directories_keep_their_metadata(self, box: Box) -> None:
        etc = Path(box.lower, "etc")
        etc.mkdir(mode=0o750)
        os.chown(etc, 5, 6)
        os.utime(etc, ns=(10**9, 10**9))
        assert box.shell("ls -ldn /etc").stdout.split()[:4] == ["drwxr-x---", "1", "5", "6"]

    def test_the_root_directory_is_the_image_s(self, box: Box) -> None:
        os.chown(box.lower, 7, 8)
        assert box.shell("ls -ldn /").stdout.split()[2:4] == ["7", "8"]
        root = Directory(mode=0o711, uid=9)
        assert box.shell("ls -ldn /", root=root).stdout.split()[:4] == ["drwx--x--x", "1", "9", "0"]

    @pytest.mark.parametrize("name", ["dev", "proc", "sys"])
    def test_something_else_in_place_of_a_mount_point_is_refused(self, box: Box, name: str) -> None:
        Path(box.lower, name).symlink_to("tmp")
        with pytest.raises(InvalidInput, match=f"/{name} is not a directory"):
            box.run("true")

    def test_a_working_directory_in_proc_is_refused(self, box: Box) -> None:
        Path(box.lower, "a").symlink_to("/tmp/../b")
        Path(box.lower, "b").symlink_to("proc/self")
        for path in ("/proc", "/proc/self/fd/7", "//proc", "/a", "/a/fd/8", "/tmp/../proc"):
            with pytest.raises(InvalidInput, match="is in /proc"):
                box.run("true", cwd=path)

    def test_more_layers_than_a_mount_s_options_could_name(self, box: Box) -> None:
        lowers = []
        for number in range(120):
            lower = box.root / f"a-directory-with-a-long-name-for-layer-{number}"
            lower.mkdir()
            (lower / f"file{number}").touch()
            lowers.append(str(lower))
        outcome = box.shell("ls -d /file* | sed -n '$='", lowers=(*lowers, box.lower))
        assert outcome.stdout == "120\n"


class TestLimits:
    def test_memory_pids_and_files(self, box: Box) -> None:
        limits = Limits(memory=64 << 20, pids=33, ulimits=(Ulimit("nofile", 100, 200),))
        outcome = box.shell(
            "ulimit -n; ulimit -Hn; cat /sys/fs/cgroup/*/memory.limit_in_bytes /sys/fs/cgroup/memory.max"
            " /sys/fs/cgroup/*/pids.max /sys/fs/cgroup/pids.max 2>/dev/null",
            limits=limits,
        )
        assert outcome.stdout.split() == ["100", "200", str(64 << 20), "33"]

    def test_too_many_processes_fail(self, box: Box) -> None:
        outcome = box.shell("for i in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait", limits=Limits(pids=4))
        assert "can't fork" in outcome.stderr

    def test_shared_memory(self, box: Box) -> None:
        script = "dd if=/dev/zero of=/dev/shm/x bs=1M count=4 2>&1 | head -n 1; ls -l /dev/shm/x"
        assert " 2097152 " in box.shell(script, shm_size=2 << 20).stdout


class TestCancellation:
    def test_kills_what_ignores_everything(self, box: Box) -> None:
        cancellation = Cancellation()
        ready = threading.Event()
        times: list[float] = []

        def cancel() -> None:
            ready.wait(10)
            times.append(time.monotonic())
            cancellation.cancel()

        thread = threading.Thread(target=cancel)
        thread.start()
        script = "trap '' TERM INT HUP; (trap '' TERM; while :; do sleep 1; done) & echo; while :; do sleep 1; done"
        with pytest.raises(Cancelled):
            box.sandbox.run(
                box.request("sh", "-c", script), output=lambda _c, _d: ready.set(), cancellation=cancellation
            )
        assert time.monotonic() - times[0] < 0.5
        thread.join()

    def test_before_the_start(self, box: Box) -> None:
        cancellation = Cancellation()
        cancellation.cancel()
        with pytest.raises(Cancelled):
            box.sandbox.run(box.request("true"), output=lambda _c, _d: None, cancellation=cancellation)

    def test_at_any_moment_of_the_start(self, box: Box) -> None:
        for step in range(12):
            cancellation = Cancellation()
            timer = threading.Timer(step * 0.004, cancellation.cancel)
            timer.start()
            started = time.monotonic()
            with pytest.raises(Cancelled):
                box.sandbox.run(
                    box.request("sleep", "100", network="default"),
                    output=lambda _c, _d: None,
                    cancellation=cancellation,
                )
            assert time.monotonic() - started < 2
            timer.join()

    def test_while_the_reader_blocks(self, box: Box) -> None:
        cancellation = Cancellation()
        request = box.request("sh", "-c", "echo x; sleep 100")
        killed: list[bool] = []

        def output(_channel: Channel, _data: bytes) -> None:
            cancellation.cancel()
            wait_until(lambda: not box.groups())
            killed.append(True)

        with pytest.raises(Cancelled):
            box.sandbox.run(request, output=output, cancellation=cancellation)
        assert killed


def test_the_same_container_cannot_run_twice(box: Box) -> None:
    first = box.request("sh", "-c", "echo; sleep 0.3")
    again = box.request("true", container_id=first.container_id)
    errors: list[BaseException] = []

    def output(_channel: Channel, _data: bytes) -> None:
        try:
            box.sandbox.run(again, output=lambda _c, _d: None, cancellation=Cancellation())
        except Conflict as error:
            errors.append(error)

    assert box.sandbox.run(first, output=output, cancellation=Cancellation()) == 0
    assert len(errors) == 1


def test_many_at_once(box: Box) -> None:
    codes: list[int] = []
    threads = [
        threading.Thread(target=lambda n=number: codes.append(box.shell(f"exit {n}", network="default").code))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == list(range(8))


def test_no_descriptor_and_no_thread_is_left(box: Box) -> None:
    box.shell("true", network="default")
    box.sandbox.close()
    descriptors, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for network in ("none", "default", "host") * 3:
        box.shell("echo x; echo y >&2; exit 1", network=network)
    with pytest.raises(SystemFailure):
        box.run("/nope", network="default")
    box.sandbox.close()
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == (descriptors, threads)


CHILD = """
import sys
from imagewright.cancellation import Cancellation
from imagewright.sandbox import RunRequest, Sandbox
state, lower, upper, network = sys.argv[1:]
def output(channel, data):
    print("started", flush=True)
script = "trap '' TERM; sleep 1000 & echo; while :; do sleep 1000; done"
Sandbox(state).run(
    RunRequest(container_id="c" * 64, argv=("sh", "-c", script), env=("PATH=/bin",), lowers=(lower,), upper=upper,
               network=network),
    output=output, cancellation=Cancellation())
"""


class TestRecovery:
    @pytest.mark.parametrize("network", ["none", "default"])
    @pytest.mark.parametrize("delay", [None, 0.0, 0.02, 0.04, 0.06])
    def test_after_kill_9_nothing_is_left(self, box: Box, network: str, delay: float | None) -> None:
        upper = box.root / "upper"
        upper.mkdir()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(box.root / "state"), box.lower, str(upper), network],
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert child.stdout is not None
        with child.stdout as stdout:
            if delay is None:
                assert stdout.readline() == b"started\n"
            else:
                wait_until(lambda: list((box.root / "state/bundles").glob("*")))
                time.sleep(delay)
            child.send_signal(signal.SIGKILL)
            child.wait()
        # A process that was just forked is the child's image still, and is told apart once it has become its program.
        wait_until(lambda: not [line for line in box.leavings() if "import RunRequest, Sandbox" in line])
        box.sandbox.recover()
        box.sandbox.recover()
        # The work directory lies beside the layer being made, and goes with it when its owner sweeps.
        shutil.rmtree(f"{upper}.work", ignore_errors=True)
        assert box.leavings() == []
        assert box.shell("echo works").stdout == "works\n"

    def test_with_nothing_to_recover(self, box: Box) -> None:
        box.sandbox.recover()
