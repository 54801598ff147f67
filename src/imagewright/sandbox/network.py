"""A network namespace with outbound access: user-mode TCP/IP by slirp4netns.

The namespace has one interface, 10.0.2.100/24, whose gateway 10.0.2.2 and name server 10.0.2.3 are a process on the
host that opens ordinary sockets there. It needs no bridge, no firewall rules and no forwarding, and nothing can
connect in.

The host's loopback is refused by slirp4netns itself. Link-local and metadata addresses are refused by routes inside the
namespace, which a RUN cannot change, for it lacks NET_ADMIN, nor go around, for it may open no packet sockets.
"""

import contextlib
import os
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from imagewright.errors import SystemFailure
from imagewright.sandbox.kernel import CLONE_NEWNET, in_new_thread, unshare

__all__ = ["ADDRESS", "NAME_SERVER", "REFUSED", "SlirpNetwork", "hosts_file", "resolv_conf", "route_message"]

ADDRESS = "10.0.2.100"
NAME_SERVER = "10.0.2.3"

# Link-local (RFC 3927; every large cloud's metadata service), and the metadata addresses that are not link-local.
REFUSED = (
    ("169.254.0.0", 16),
    ("100.100.100.200", 32),
    ("168.63.129.16", 32),
    ("192.0.0.192", 32),
)

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 5.0

# linux/netlink.h and linux/rtnetlink.h
_RTM_NEWROUTE = 24
_NLM_F_REQUEST_ACK_CREATE = 0x1 | 0x4 | 0x400
_RTN_UNREACHABLE = 7
_RTPROT_STATIC = 4
_RT_TABLE_MAIN = 254
_RTA_DST = 1
_NLMSG_ERROR = 2


class SlirpNetwork:
    """A namespace and the slirp4netns that serves it, until `close`.

    `environment` is that of the process. The constructor does not wait for the process: call `wait_ready` before
    anybody uses the network. Raises `SystemFailure`. The process ends by itself when this process dies, however it
    dies. There is nothing of it on the disk.

    `close` does not wait either: the kernel needs tens of milliseconds to take the interface away, which nobody else
    needs to spend. `join` does.
    """

    def __init__(self, environment: dict[str, str]) -> None:
        self._log = -1
        self._namespace = -1
        self._ready = -1
        self._can_be_used = False
        self._exit = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._end: threading.Thread | None = None
        try:
            self._namespace = in_new_thread(_make_namespace, "imagewright-netns")
            self._start(environment)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """The namespace, as a path that holds while this object does."""
        return f"/proc/{os.getpid()}/fd/{self._namespace}"

    def _start(self, environment: dict[str, str]) -> None:
        self._ready, ready = os.pipe()
        leave, self._exit = os.pipe()
        # Not a pipe: nobody reads it while the process runs.
        self._log = os.memfd_create("imagewright-slirp4netns", os.MFD_CLOEXEC)
        try:
            self._process = subprocess.Popen(
                [
                    "slirp4netns",
                    "--configure",
                    "--mtu=65520",
                    "--disable-host-loopback",
                    "--enable-seccomp",
                    f"--ready-fd={ready}",
                    f"--exit-fd={leave}",
                    "--netns-type=path",
                    f"/proc/self/fd/{self._namespace}",
                    "tap0",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._log,
                env=environment,
                pass_fds=(ready, leave, self._namespace),
                start_new_session=True,
            )
        except FileNotFoundError:
            raise SystemFailure(
                "slirp4netns is not installed: it gives RUN its network (network modes none and host work without)"
            ) from None
        except OSError as error:
            raise SystemFailure(f"slirp4netns cannot be started: {error.strerror}") from error
        finally:
            for descriptor in (ready, leave):
                os.close(descriptor)

    def wait_ready(self, stop: int = -1) -> None:
        """Wait until the network can be used; raise `SystemFailure` if it never can.

        Returns too when the descriptor `stop`, if one is given, can be read: whoever has that knows what to do.
        """
        if self._can_be_used:
            return
        waited = [self._ready] if stop < 0 else [self._ready, stop]
        poll = select.poll()
        for descriptor in waited:
            poll.register(descriptor, select.POLLIN)
        events = [descriptor for descriptor, _ in poll.poll(_START_TIMEOUT * 1000)]
        if self._ready in events and os.read(self._ready, 1):
            self._can_be_used = True
        elif stop not in events:
            raise SystemFailure(f"slirp4netns does not work: {self._last_words() or 'it gave no reason'}")

    def _last_words(self) -> str:
        lines = os.pread(self._log, 1 << 16, 0).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def usable(self) -> bool:
        """Tell whether the network was ready once, and its process still runs."""
        return self._can_be_used and self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """Kill the process and let the namespace go; idempotent."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self._end = threading.Thread(target=_reap, args=(process,), name="imagewright-slirp4netns")
            self._end.start()
        for name in ("_namespace", "_ready", "_exit", "_log"):
            descriptor = getattr(self, name)
            if descriptor >= 0:
                os.close(descriptor)
                setattr(self, name, -1)

    def alive(self) -> bool:
        """Tell whether the process runs, or has been killed and is still ending."""
        return self._process is not None or (self._end is not None and self._end.is_alive())

    def join(self) -> None:
        """Wait until the killed process has ended."""
        if self._end is not None:
            self._end.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _reap(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT)


def _make_namespace() -> int:
    """Give the calling thread a network namespace with the refusing routes and return a descriptor of it."""
    try:
        unshare(CLONE_NEWNET)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
            for address, length in REFUSED:
                netlink.sendall(route_message(address, length))
                _expect_acknowledgement(netlink.recv(4096))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SystemFailure(f"a network namespace cannot be made: {error.strerror}") from error


def route_message(address: str, length: int) -> bytes:
    """Return the netlink message that makes `address`/`length` unreachable, asking for an acknowledgement.

    https://man7.org/linux/man-pages/man7/rtnetlink.7.html
    """
    route = struct.pack(
        "=BBBBBBBBI", socket.AF_INET, length, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, 0, _RTN_UNREACHABLE, 0
    )
    destination = struct.pack("=HH4s", 8, _RTA_DST, socket.inet_aton(address))
    body = route + destination
    return struct.pack("=IHHII", 16 + len(body), _RTM_NEWROUTE, _NLM_F_REQUEST_ACK_CREATE, 1, 0) + body


def _expect_acknowledgement(message: bytes) -> None:
    _, kind, _, _, _ = struct.unpack_from("=IHHII", message)
    (number,) = struct.unpack_from("=i", message, 16)
    if kind != _NLMSG_ERROR or number != 0:
        raise OSError(-number, os.strerror(-number))


def hosts_file(hostname: str, address: str, extra: Iterable[tuple[str, str]]) -> str:
    """Return the text of /etc/hosts for a container that knows itself by `address`, if it has one."""
    lines = [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "ff00::0\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        *(f"{target}\t{name}" for name, target in extra),
    ]
    if address:
        lines.append(f"{address}\t{hostname}")
    return "\n".join(lines) + "\n"


def resolv_conf(host: str, name_server: str) -> str:
    """Return the text of /etc/resolv.conf: `name_server`, with the search list and options of the `host`'s."""
    kept = [line for line in host.splitlines() if line.split()[:1] in (["search"], ["domain"], ["options"])]
    return "\n".join([f"nameserver {name_server}", *kept]) + "\n"
