"""The API over the fake engine, on a unix socket, in a thread; and a client that shows every byte."""

import asyncio
import contextlib
import io
import json
import socket
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagewright.api import BuildLimits, listen
from unit.api.fake_engine import FakeEngine

__all__ = ["FakeDaemon", "Reply", "context", "running"]

TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `chunks` are those of the chunked encoding, None where there was none."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    chunks: tuple[bytes, ...] | None

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]

    @property
    def streamed(self) -> str:
        return "".join(message.get("stream", "") for message in self.messages)


@dataclass(frozen=True, slots=True)
class FakeDaemon:
    path: str
    engine: FakeEngine

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(TIMEOUT)
        client.connect(self.path)
        return client

    def exchange(self, data: bytes, *, method: str = "GET") -> Reply:
        """Send `data` as it is, and return the first answer."""
        with self.connect() as client:
            client.sendall(data)
            return read_reply(client.makefile("rb"), method)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        lines = [f"{method} {path} HTTP/1.1", "Host: docker"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return self.exchange(head + (body or b""), method=method)

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def build(self, dockerfile: str, query: str = "", prefix: str = "") -> Reply:
        return self.request("POST", f"{prefix}/build?{query}", context(dockerfile))


def read_reply(stream: io.BufferedReader, method: str = "GET") -> Reply:
    """Read one answer from `stream`."""
    status = int(stream.readline().split()[1])
    headers: dict[str, str] = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip()] = value.strip()
    if headers.get("Transfer-Encoding") == "chunked":
        chunks = tuple(_chunks(stream))
        return Reply(status, headers, b"".join(chunks), chunks)
    if method == "HEAD" or status in {100, 204, 304}:
        return Reply(status, headers, b"", None)
    length = headers.get("Content-Length")
    return Reply(status, headers, stream.read(int(length)) if length else stream.read(), None)


def _chunks(stream: io.BufferedReader) -> Iterator[bytes]:
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        assert stream.readline() == b"\r\n"
    assert stream.readline() == b"\r\n"


def context(dockerfile: str, **files: bytes) -> bytes:
    """Return the tar of a build context."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in {"Dockerfile": dockerfile.encode(), **files}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@contextlib.contextmanager
def running(path: str, engine: FakeEngine, builds: BuildLimits = BuildLimits()) -> Iterator[FakeDaemon]:  # noqa: B008 - a value
    """Serve `engine` on the socket `path` meanwhile."""
    ready = threading.Event()
    stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    problems: list[BaseException] = []

    async def serve() -> None:
        stop = asyncio.Event()
        stops.append((asyncio.get_running_loop(), stop))
        await listen(engine, [f"unix://{path}"], stop=stop, builds=builds, ready=ready.set)

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            problems.append(error)
            ready.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(TIMEOUT)
    try:
        if not problems:
            yield FakeDaemon(path, engine)
    finally:
        loop, stop = stops[0]
        if not problems:
            loop.call_soon_threadsafe(stop.set)
        thread.join()
    if problems:
        raise problems[0]
