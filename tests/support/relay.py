"""A relay between a client and a server of the test, which breaks connections at a byte of the test's choice."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Relay", "relay"]

_PIECE = 1 << 16


@dataclass
class Relay:
    """Passes bytes on to `target`; each number in `cuts` ends one connection after so many bytes.

    The bytes are those that go `up` to the server, or those that come down; connections use up `cuts` in order, and a
    connection that ends before its cut leaves it to the next.
    """

    port: int
    target: tuple[str, int]
    up: bool = False
    cuts: list[int] = field(default_factory=list)
    connections: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """The `host:port` to ask instead of the server's."""
        return f"127.0.0.1:{self.port}"


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """Run a relay to `target`, a `host:port`, on a free port until the block ends; no connection of it is left then."""
    host, _, port = target.rpartition(":")
    threads: list[threading.Thread] = []
    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        made = Relay(listener.getsockname()[1], (host, int(port)))

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                server = socket.create_connection(made.target)
                opened.extend((client, server))
                made.connections += 1
                threads.append(threading.Thread(target=_serve, args=(made, client, server)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield made
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for connection in opened:
                _end(connection)
            for thread in threads:
                thread.join()


def _serve(made: Relay, client: socket.socket, server: socket.socket) -> None:
    """Pass bytes on both ways until one end is no more; then close both, as a machine does that goes down."""
    down = threading.Thread(target=_pass_on, args=(made, server, client, not made.up))
    with client, server:
        down.start()
        _pass_on(made, client, server, made.up)
        down.join()


def _pass_on(made: Relay, source: socket.socket, sink: socket.socket, counted: bool) -> None:
    left = _PIECE
    with contextlib.suppress(OSError):
        while data := source.recv(left):
            cut = made.cuts[0] if counted and made.cuts else None
            if cut is not None:
                with made.lock:
                    made.cuts[0] -= len(data)
                if len(data) >= cut:
                    sink.sendall(data[:cut])
                    del made.cuts[0]
                    break
            sink.sendall(data)
    _end(source)
    _end(sink)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
