"""What a RUN reaches, and what it does not."""

import contextlib
import hashlib
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.sandbox import Network, RunRequest, Sandbox

pytestmark = pytest.mark.privileged

APPLETS = ["arping", "cat", "hostname", "ip", "nc", "sed", "sh"]


@dataclass(frozen=True, slots=True)
class Outcome:
    stdout: str
    stderr: str


class Box:
    """A sandbox with busybox to run."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.sandbox = Sandbox(str(root / "state"))
        (root / "lower/bin").mkdir(parents=True)
        shutil.copy("/bin/busybox", root / "lower/bin/busybox")
        for name in APPLETS:
            (root / "lower/bin" / name).symlink_to("busybox")

    def shell(self, script: str, *, network: Network) -> Outcome:
        number = len(os.listdir(self.root))
        upper = self.root / f"upper{number}"
        upper.mkdir()
        channels = {"stdout": b"", "stderr": b""}

        def output(channel: str, data: bytes) -> None:
            channels[channel] += data

        self.sandbox.run(
            RunRequest(
                container_id=hashlib.sha256(f"{self.root}{number}".encode()).hexdigest(),
                argv=("sh", "-c", script),
                env=("PATH=/bin",),
                lowers=(str(self.root / "lower"),),
                upper=str(upper),
                network=network,
            ),
            output=output,
            cancellation=Cancellation(),
        )
        return Outcome(channels["stdout"].decode(), channels["stderr"].decode())


@pytest.fixture(name="box")
def make_box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    with box.sandbox:
        yield box


@pytest.fixture(name="server")
def make_server() -> Iterator[tuple[str, int]]:
    """A server on every address of the host, and the host's address in its own network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.200", 9))
            address = probe.getsockname()[0]
        except OSError:
            pytest.skip("this machine has no network but its loopback")
    with socket.create_server(("0.0.0.0", 0)) as listener:  # noqa: S104

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.sendall(b"served\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield address, listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


class TestNetwork:
    def test_default_reaches_out_and_not_the_host_s_loopback(self, box: Box, server: tuple[str, int]) -> None:
        address, port = server
        assert box.shell(f"nc -w 3 {address} {port} </dev/null", network="default").stdout == "served\n"
        for target in ("10.0.2.2", "127.0.0.1", "localhost"):
            assert box.shell(f"nc -w 1 {target} {port} </dev/null", network="default").stdout == ""

    def test_link_local_and_metadata_addresses_are_unreachable_at_once(self, box: Box) -> None:
        script = "for a in 169.254.169.254 169.254.0.1 100.100.100.200; do nc -w 5 $a 80 </dev/null; done"
        started = time.monotonic()
        outcome = box.shell(script, network="default")
        assert outcome.stderr.count("No route to host") + outcome.stderr.count("unreachable") == 3
        assert time.monotonic() - started < 3

    def test_no_packet_sockets_under_the_routes(self, box: Box) -> None:
        outcome = box.shell("arping -c 1 -w 1 -I tap0 10.0.2.2", network="default")
        assert "Operation not permitted" in outcome.stderr

    def test_name_server(self, box: Box) -> None:
        assert "nameserver 10.0.2.3\n" in box.shell("cat /etc/resolv.conf", network="default").stdout
        assert box.shell("cat /etc/resolv.conf", network="none").stdout == ""
        assert box.shell("cat /etc/resolv.conf", network="host").stdout == Path("/etc/resolv.conf").read_text()

    def test_none_has_only_a_loopback(self, box: Box) -> None:
        assert box.shell("ip -o link | sed -n '$='; ip route", network="none").stdout == "1\n"

    def test_host_is_the_host_s(self, box: Box, server: tuple[str, int]) -> None:
        outcome = box.shell(f"nc -w 3 127.0.0.1 {server[1]} </dev/null; hostname", network="host")
        assert outcome.stdout == f"served\n{socket.gethostname()}\n"
