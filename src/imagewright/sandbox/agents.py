"""Forwards connections of a container to a unix socket of the host, such as that of an ssh agent.

The host's socket itself is not given away: it has an owner and a mode of its own, which a RUN has no part in.
"""

import contextlib
import os
import selectors
import socket
import threading
import time
from types import TracebackType
from typing import Self

from imagewright.errors import SystemFailure

__all__ = ["Forwarder"]

_PIECE = 1 << 16
_MOST_CONNECTIONS = 32
# How long an agent that takes nobody, since too many wait there, is tried.
_CONNECT_SECONDS = 10.0
_TICK = 0.05


class Forwarder:
    """Listens at `name` in the directory `directory`, and joins who connects there with the socket `target`.

    The socket belongs to `uid` and `gid` and has the mode `mode`. Ends with `close`, and with it every connection. A
    connection is cut if `target` does not take one within `patience` seconds, or if there are too many already.
    """

    def __init__(
        self,
        directory: str,
        name: str,
        target: str,
        *,
        uid: int,
        gid: int,
        mode: int,
        patience: float = _CONNECT_SECONDS,
    ) -> None:
        self._target = target
        self._patience = patience
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(_MOST_CONNECTIONS)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._ended = threading.Event()
        # By way of a descriptor: the whole path may be longer than an address can be.
        place = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._listener.bind(f"/proc/self/fd/{place}/{name}")
            os.chown(name, uid, gid, dir_fd=place, follow_symlinks=False)
            os.chmod(name, mode, dir_fd=place)
            self._listener.listen()
        except OSError as error:
            self._listener.close()
            raise SystemFailure(f"the socket for the ssh agent cannot be made: {error.strerror}") from error
        finally:
            os.close(place)
        threading.Thread(target=self._accept, name="imagewright-agent", daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self._ended.wait(_TICK):
                    return
                continue  # too many files are open, which passes
            if not self._slots.acquire(blocking=False):
                client.close()
                continue
            try:
                threading.Thread(target=self._serve, args=(client,), name="imagewright-agent", daemon=True).start()
            except RuntimeError:  # the machine has no more threads
                client.close()
                self._slots.release()

    def _serve(self, client: socket.socket) -> None:
        try:
            with client, contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
                if self._keep(client, agent):
                    try:
                        self._connect(agent)
                        _join(client, agent)
                    finally:
                        with self._lock:
                            self._open -= {client, agent}
        finally:
            self._slots.release()

    def _connect(self, agent: socket.socket) -> None:
        """Connect `agent`; raise `OSError` if that cannot be, or not in time.

        One that waits in the kernel until there is room would not be woken by the end of the container.
        """
        deadline = time.monotonic() + self._patience
        agent.setblocking(False)
        while True:
            try:
                agent.connect(self._target)
                break
            except BlockingIOError:
                if time.monotonic() > deadline or self._ended.wait(_TICK):
                    raise
        agent.setblocking(True)

    def _keep(self, *ends: socket.socket) -> bool:
        with self._lock:
            if not self._ended.is_set():
                self._open.update(ends)
            return not self._ended.is_set()

    def close(self) -> None:
        """Take no more connections, and cut those there are; idempotent."""
        with self._lock:
            self._ended.set()
            for end in self._open:
                _cut(end)
        # Closing alone would not wake the thread that waits for a connection.
        _cut(self._listener)
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _cut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


def _join(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from either side until both have said all."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while selector.get_map():
            for key, _ in selector.select():
                source, sink = key.fileobj, key.data
                if not isinstance(source, socket.socket):
                    continue
                data = source.recv(_PIECE)
                if data:
                    sink.sendall(data)
                else:
                    selector.unregister(source)
                    with contextlib.suppress(OSError):
                        sink.shutdown(socket.SHUT_WR)
