"""Running the application on unix sockets, until a signal says that it is enough."""

import asyncio
import contextlib
import grp
import os
import signal
import socket
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import cast

import structlog
from aiohttp import web

from imagewright.api.app import make_app
from imagewright.api.connection import Connections
from imagewright.api.log import configure_log
from imagewright.api.roles import EngineProtocol
from imagewright.api.service import BuildLimits
from imagewright.api.unreadable import Handler
from imagewright.errors import Conflict, Forbidden, InvalidInput, SystemFailure, Unsupported

__all__ = ["listen", "serve"]

_BACKLOG = 1024
_MODE = 0o660
_PATH_LIMIT = 107
_STALE_SECONDS = 5.0
_SHUTDOWN_SECONDS = 30.0
# Request lines hold build arguments and filters; header fields hold logins.
_LINE_LIMIT = 2 << 20
_FIELD_LIMIT = 64 << 10
_READ_BUFFER = 512 << 10
# How long the rest of a body is read after an answer that came early: clients send it all before they read.
_LINGER_SECONDS = 60.0

_log = structlog.get_logger("imagewright.api")


def serve(
    engine: EngineProtocol,
    hosts: Sequence[str],
    *,
    group: str = "docker",
    experimental: bool = False,
    builds: BuildLimits = BuildLimits(),  # noqa: B008 - a value
    agents: Mapping[str, str] | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serve the Engine API for `engine` on `hosts` until SIGTERM or SIGINT; call from the main thread.

    Each host is `unix://PATH`. Running builds are then cancelled and waited for, and the sockets removed; a second
    signal ends the process. `builds` says how many builds there may be at one time; `agents` are sockets of ssh agents
    by id, which every build may use; `ready` is called when connections are accepted. Closing the engine is up to the
    caller.
    The log goes to standard error.
    Raises `InvalidInput` and `Unsupported` for hosts that cannot be, `Conflict` if a socket is in use.
    """
    configure_log()

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)

        def handle() -> None:
            for number in signals:
                loop.remove_signal_handler(number)
                # Python's own way with an interrupt waits for every thread.
                signal.signal(number, signal.SIG_DFL)
            stop.set()

        for number in signals:
            loop.add_signal_handler(number, handle)
        await listen(
            engine,
            hosts,
            stop=stop,
            group=group,
            experimental=experimental,
            builds=builds,
            agents=agents,
            ready=ready,
        )

    asyncio.run(run())


async def listen(
    engine: EngineProtocol,
    hosts: Sequence[str],
    *,
    stop: asyncio.Event,
    group: str = "docker",
    experimental: bool = False,
    builds: BuildLimits = BuildLimits(),  # noqa: B008 - a value
    agents: Mapping[str, str] | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Do what `serve` does, until `stop` is set."""
    paths = [_socket_path(host) for host in hosts]
    if not paths:
        raise InvalidInput("no host to listen on")
    runner = web.AppRunner(
        make_app(engine, builds, experimental=experimental, agents=agents),
        access_log=None,
        shutdown_timeout=_SHUTDOWN_SECONDS,
        max_line_size=_LINE_LIMIT,
        max_field_size=_FIELD_LIMIT,
        read_bufsize=_READ_BUFFER,
        lingering_time=_LINGER_SECONDS,
        # Bodies are known by what is in them; what a header says of them is ignored.
        auto_decompress=False,
    )
    async with contextlib.AsyncExitStack() as stack:
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        assert runner.server is not None  # noqa: S101 - there is one after `setup`
        server_of_requests = runner.server

        def make_handler() -> Handler:
            handler = server_of_requests()
            # aiohttp has no other way to say how what cannot be read is answered; the layout is the same.
            handler.__class__ = Handler
            return cast("Handler", handler)

        connections = Connections(make_handler)
        for path in paths:
            bound = stack.enter_context(_Socket(path, group))
            server = await asyncio.get_running_loop().create_unix_server(
                connections, sock=bound.socket, backlog=_BACKLOG
            )
            stack.callback(server.close)
            _log.info("listening", host=f"unix://{path}")
        if ready:
            ready()
        await stop.wait()
        _log.info("shutting down")


def _socket_path(host: str) -> str:
    scheme, separator, path = host.partition("://")
    if not separator:
        raise InvalidInput(f"invalid host {host!r}: expected unix://PATH")
    if scheme == "tcp":
        raise Unsupported(f"{host}: listening on tcp:// is not supported yet: it needs TLS, which comes later")
    if scheme == "fd":
        raise Unsupported(f"{host}: taking over sockets (fd://) is not supported yet")
    if scheme != "unix":
        raise InvalidInput(f"invalid host {host!r}: expected unix://PATH")
    if not path.startswith("/"):
        raise InvalidInput(f"invalid host {host!r}: the path of the socket must be absolute")
    if len(os.fsencode(path)) > _PATH_LIMIT:
        raise InvalidInput(f"invalid host {host!r}: the path of a socket has at most {_PATH_LIMIT} bytes")
    return path


class _Socket(contextlib.AbstractContextManager["_Socket"]):
    """A bound unix socket at `path`, for root and `group`; removed at the end, if it is still this one.

    A socket on which somebody listens is never taken; one that is left over is replaced.
    """

    def __init__(self, path: str, group: str) -> None:
        self._path = path
        self._make_room()
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Nobody can connect before the group is right: nothing listens yet.
        umask = os.umask(0o777 & ~_MODE)
        try:
            self.socket.bind(path)
        except OSError as error:
            self.socket.close()
            raise SystemFailure(f"cannot listen on unix://{path}: {os.strerror(error.errno or 0)}") from error
        finally:
            os.umask(umask)
        self._identity = self._found()
        with contextlib.suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        self.socket.setblocking(False)

    def __exit__(self, *_: object) -> None:
        self.socket.close()
        if self._found() == self._identity:
            os.unlink(self._path)

    def _found(self) -> tuple[int, int] | None:
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _make_room(self) -> None:
        directory = os.path.dirname(self._path)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        mode = os.stat(directory).st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Forbidden(f"unix://{self._path}: everybody may replace files in the directory of the socket")
        try:
            mode = os.lstat(self._path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise Conflict(f"unix://{self._path}: there is something else than a socket")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_STALE_SECONDS)
            try:
                probe.connect(self._path)
            except ConnectionRefusedError:
                os.unlink(self._path)
                return
            except FileNotFoundError:
                return
            except OSError as error:
                raise Conflict(f"unix://{self._path} is in use") from error
        raise Conflict(f"unix://{self._path} is in use by a daemon that runs")
