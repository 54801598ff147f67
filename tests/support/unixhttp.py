"""The least HTTP over a unix socket that a readiness check and a raw request need."""

import http.client
import socket
import time
from collections.abc import Callable
from typing import Any

__all__ = ["UnixConnection", "request", "wait_until_ready"]


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to the unix socket at `path`; `timeout` in seconds."""

    def __init__(self, path: str, *, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def request(path: str, method: str, target: str, body: Any = None, *, timeout: float = 60) -> tuple[int, bytes]:
    """Send one request to the unix socket at `path`; return the status and the whole body."""
    connection = UnixConnection(path, timeout=timeout)
    try:
        connection.request(method, target, body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_ready(path: str, *, alive: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until an engine answers a ping on the unix socket at `path`; return whether it did while it was `alive`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and alive():
        try:
            if request(path, "GET", "/_ping", timeout=5)[0] == 200:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.05)
    return False
