"""What a RUN finds mounted besides its image, seen from inside, and what is left of it: nothing."""

import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import InvalidInput
from imagewright.filesystem.tree import Content, Directory, Extent, File
from imagewright.oci import Digest
from imagewright.sandbox import AgentMount, DirectoryMount, LayersMount, Mount, SecretMount, TemporaryMount
from support.box import Box

pytestmark = pytest.mark.privileged

TREE = Directory(
    mode=0o755,
    children={
        "bin": Directory(mode=0o755),
        "root": Directory(mode=0o700, uid=3, gid=4, mtime_ns=5_000_000_000),
        "file": File(mode=0o644, content=Content(Digest.of(b""), 0, Extent(""))),
        "tmp": Directory(mode=0o1777),
    },
)


@pytest.fixture(name="box")
def make_box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    (tmp_path / "lower/root").mkdir(mode=0o700)
    os.chown(tmp_path / "lower/root", 3, 4)
    (tmp_path / "lower/file").touch()
    yield box
    box.sandbox.close()
    assert box.leavings() == []


def changed(upper: Path) -> list[str]:
    return sorted(str(path.relative_to(upper)) for path in upper.rglob("*"))


def make_layers(root: Path) -> tuple[str, ...]:
    for name, content in (("below", "old"), ("above", "new")):
        (root / name / "data/deep").mkdir(parents=True)
        (root / name / "data/file").write_text(content)
        (root / name / f"data/{name}").write_text(name)
    (root / "above/out").symlink_to("/data/../../../data/deep/../file")
    (root / "above/away").symlink_to("/etc/hostname")
    return (str(root / "above"), str(root / "below"))


class TestLayers:
    def test_files_of_all_layers_are_there_to_read(self, box: Box, tmp_path: Path) -> None:
        mount = LayersMount(target="/mnt/in", lowers=make_layers(tmp_path))
        outcome = box.shell("cat /mnt/in/data/*; touch /mnt/in/x", mounts=(mount,), root=TREE)
        assert (outcome.code, outcome.stdout) == (1, "abovebelownew")
        assert "Read-only file system" in outcome.stderr
        assert changed(outcome.upper) == []

    @pytest.mark.parametrize("one", [True, False])
    def test_what_is_written_is_thrown_away(self, box: Box, tmp_path: Path, *, one: bool) -> None:
        lowers = make_layers(tmp_path)[: 1 if one else None]
        mount = LayersMount(target="/mnt", lowers=lowers, source="data", writable=True)
        outcome = box.shell("echo more >> /mnt/file && cat /mnt/file", mounts=(mount,), root=TREE)
        assert outcome.stdout == "newmore\n"
        assert (tmp_path / "above/data/file").read_text() == "new"
        assert changed(outcome.upper) == []

    @pytest.mark.parametrize(
        ("root", "shown"), [(None, "drwxr-x--- 3"), (Directory(mode=0o701, uid=7), "drwx-----x 7")]
    )
    def test_the_root_that_is_written_to(self, box: Box, tmp_path: Path, root: Directory | None, shown: str) -> None:
        lowers = make_layers(tmp_path)
        os.chmod(lowers[0], 0o750)  # noqa: S103 - of no meaning here but to be seen
        os.chown(lowers[0], 3, 3)
        mount = LayersMount(target="/mnt", lowers=lowers, writable=True, root=root)
        found = box.shell("ls -ldn /mnt", mounts=(mount,), root=TREE).stdout.split()
        assert " ".join(found[:3:2]) == shown

    def test_source_is_followed_inside_the_layers(self, box: Box, tmp_path: Path) -> None:
        mount = LayersMount(target="/file", lowers=make_layers(tmp_path), source="/out")
        assert box.shell("cat /file", mounts=(mount,), root=TREE).stdout == "new"

    @pytest.mark.parametrize("source", ["nope", "away", "/data/file/x"])
    def test_source_that_is_not_there(self, box: Box, tmp_path: Path, source: str) -> None:
        mount = LayersMount(target="/mnt", lowers=make_layers(tmp_path), source=source)
        with pytest.raises(InvalidInput, match=f'"/{source.strip("/")}": not found'):
            box.shell("true", mounts=(mount,), root=TREE)


class TestDirectories:
    def test_what_is_written_lasts(self, box: Box, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        mount = DirectoryMount(target="/root/.cache/pip", directory=str(tmp_path / "cache"))
        outcome = box.shell("echo kept > /root/.cache/pip/a", mounts=(mount,), root=TREE)
        assert outcome.code == 0
        assert (tmp_path / "cache/a").read_text() == "kept\n"
        # That /root was made to mount something in it shows nowhere.
        assert changed(outcome.upper) == []

    def test_directories_on_the_way_keep_what_they_are(self, box: Box, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        mount = DirectoryMount(target="/root/new/cache", directory=str(tmp_path / "cache"))
        script = "ls -ldn /root; touch /root/new/own"
        outcome = box.shell(script, mounts=(mount,), root=TREE)
        assert outcome.stdout.split()[:4:2] + outcome.stdout.split()[3:4] == ["drwx------", "3", "4"]
        assert changed(outcome.upper) == ["root", "root/new", "root/new/own"]

    def test_reading_only(self, box: Box, tmp_path: Path) -> None:
        (tmp_path / "cache").mkdir()
        mount = DirectoryMount(target="/c", directory=str(tmp_path / "cache"), writable=False)
        assert "Read-only" in box.shell("touch /c/a", mounts=(mount,), root=TREE).stderr

    def test_nothing_is_mounted_inside_what_others_can_change(self, box: Box, tmp_path: Path) -> None:
        mounts = (DirectoryMount(target="/c", directory=str(tmp_path)), TemporaryMount(target="/c/t"))
        with pytest.raises(InvalidInput, match="sharing=locked"):
            box.shell("true", mounts=mounts, root=TREE)


class TestTemporary:
    def test_is_empty_and_bounded(self, box: Box) -> None:
        mounts = (TemporaryMount(target="/tmp/a/b"), TemporaryMount(target="/tmp/a", size=1 << 20))
        script = "touch /tmp/a/b/c && dd if=/dev/zero of=/tmp/a/big bs=1024 count=2000"
        outcome = box.shell(script, mounts=mounts, root=TREE)
        assert "No space left" in outcome.stderr
        assert changed(outcome.upper) == []

    def test_shared_memory(self, box: Box) -> None:
        mount = TemporaryMount(target="/dev/shm", size=2 << 20)
        assert "2048" in box.shell("cat /proc/mounts", mounts=(mount,), root=TREE).stdout


class TestSecrets:
    def test_owner_mode_and_content(self, box: Box) -> None:
        mount = SecretMount(target="/run/secrets/s", data=b"hush", uid=7, gid=8, mode=0o440)
        script = "ls -ln /run/secrets/s; cat /run/secrets/s; touch /run/secrets/s"
        outcome = box.shell(script, mounts=(mount,), root=TREE)
        assert outcome.stdout.split()[:4] == ["-r--r-----", "1", "7", "8"]
        assert outcome.stdout.endswith("hush")
        assert "Read-only" in outcome.stderr
        assert changed(outcome.upper) == []

    def test_nothing_of_it_is_on_the_disk_meanwhile(self, box: Box, tmp_path: Path) -> None:
        secret = hashlib.sha256(b"secret").hexdigest()
        found: list[str] = []

        def look() -> None:
            files = (path for path in tmp_path.rglob("*") if path.is_file() and not path.is_symlink())
            found.extend(str(path) for path in files if secret.encode() in path.read_bytes())

        mount = SecretMount(target="/s", data=secret.encode())
        request = box.request(
            "sh", "-c", "echo $TOKEN; sleep 0.3; cat /s", mounts=(mount,), secret_env=(f"TOKEN={secret}",)
        )
        pieces: list[bytes] = []

        def output(_channel: str, data: bytes) -> None:
            look()
            pieces.append(data)

        assert box.sandbox.run(request, output=output, cancellation=Cancellation()) == 0
        assert b"".join(pieces).decode() == f"{secret}\n{secret}"
        assert found == []
        assert secret not in repr(request)


class TestAgents:
    def test_connections_reach_the_socket(self, box: Box, tmp_path: Path) -> None:
        address = str(tmp_path / "agent")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()

            def answer() -> None:
                for _ in range(2):
                    client, _ = listener.accept()
                    with client:
                        client.sendall(client.recv(100).upper())

            thread = threading.Thread(target=answer)
            thread.start()
            mount = AgentMount(target="/run/agent.0", socket=address, uid=9)
            script = "ls -ln /run/agent.0; until [ -e /tmp/done ]; do sleep 0.01; done"
            request = box.request("sh", "-c", script, mounts=(mount,), root=TREE)
            told: list[bytes] = []

            def talk(_channel: str, data: bytes) -> None:
                told.append(data)
                # The runtime writes it down after the process has begun.
                while not (found := [path.read_text() for path in (tmp_path / "state/bundles").glob("*/pid")]):
                    time.sleep(0.005)
                root = f"/proc/{found[0]}/root"
                for _ in range(2):
                    with socket.socket(socket.AF_UNIX) as client:
                        client.connect(f"{root}/run/agent.0")
                        client.sendall(b"ping")
                        told.append(client.recv(100))
                Path(f"{root}/tmp/done").touch()

            assert box.sandbox.run(request, output=talk, cancellation=Cancellation()) == 0
            thread.join()
        assert told[0].split()[:4:3] + told[0].split()[2:3] == [b"srw-------", b"0", b"9"]
        assert told[1:] == [b"PING", b"PING"]

    def test_agent_that_is_not_there(self, box: Box, tmp_path: Path) -> None:
        mount = AgentMount(target="/run/agent.0", socket=str(tmp_path / "nope"))
        assert box.shell("ls /run/agent.0", mounts=(mount,), root=TREE).code == 0


@pytest.mark.parametrize(
    ("mounts", "message"),
    [
        ((TemporaryMount(target="/"),), "invalid mount target"),
        ((TemporaryMount(target="relative"),), "invalid mount target"),
        ((TemporaryMount(target="/a/../b"),), "invalid mount target"),
        ((TemporaryMount(target="/proc/x"),), "nothing can be mounted at /proc/x"),
        ((TemporaryMount(target="/dev"),), "nothing can be mounted at /dev"),
        ((TemporaryMount(target="/a"), TemporaryMount(target="/a")), "duplicate mount target /a"),
        ((SecretMount(target="/a", data=bytes(600 << 10)),), "larger than 512 KiB"),
        ((TemporaryMount(target="/file"),), "/file is not a directory"),
        ((TemporaryMount(target="/file/x"),), "/file is not a directory"),
        ((SecretMount(target="/root", data=b""),), "/root is a directory"),
    ],
)
def test_refused(box: Box, mounts: tuple[Mount, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        box.shell("true", mounts=mounts, root=TREE)


def test_insecure_can_do_everything(box: Box) -> None:
    script = "mount -t tmpfs none /tmp && sed -n 's/^CapEff:.//p;s/^Seccomp:.//p' /proc/self/status"
    outcome = box.shell(script, insecure=True)
    assert outcome.code == 0, outcome.stderr
    assert int(outcome.stdout.split()[0], 16) & (1 << 21)
    assert outcome.stdout.split()[1] == "0"
    assert box.shell("mount -t tmpfs none /tmp").code != 0
