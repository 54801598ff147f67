"""Files that a build fetches: the same at the same address for both engines, though their networks are two."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from support.builder import archive, context

__all__ = ["serving"]

# Answers whatever is asked, over and over; says its port when it can be asked. Only what both engines tell of an answer
# is in it: an engine's text has the answer's own.
_SERVER = """
import http.server, os, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
    def do_GET(self):
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/Dockerfile")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/failing":
            self.send_error(500, "Broken", "on purpose")
        else:
            super().do_GET()

os.chdir(sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextlib.contextmanager
def serving(directory: str, pid: int) -> Iterator[str]:
    """Serve some files over HTTP here and in the network of process `pid` until the block ends; yield the address."""
    os.makedirs(directory)
    packed = context("FROM base:1\nLABEL its=tar\nCOPY f /f\n", {"f": "f", "sub/D": "FROM base:1\nLABEL its=sub\n"})
    files = {
        "Dockerfile": b"FROM base:1\nLABEL its=text\n",
        "context.tar": packed,
        "plain": b"plain\n",
        "empty": b"",
        "garbage": bytes(range(256)) * 8,
        "bad": b"FROM base:1\nFOO\n",
        "copies": b"FROM base:1\nCOPY nope /\n",
        "add.tar": archive({"in": "in"}),
    }
    for name, data in files.items():
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)
        os.utime(file.name, (1_500_000_000, 1_500_000_000))
    with _server((), directory, 0) as port, _server(("nsenter", "--target", str(pid), "--net"), directory, port):
        yield f"http://localhost:{port}"


@contextlib.contextmanager
def _server(where: tuple[str, ...], directory: str, port: int) -> Iterator[int]:
    command = [*where, sys.executable, "-c", _SERVER, directory, str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as server:
        try:
            assert server.stdout is not None
            yield int(server.stdout.readline())
        finally:
            server.kill()
