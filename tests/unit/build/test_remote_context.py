"""Contexts behind URLs; those in git repositories are in tests/privileged/test_git_contexts.py."""

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
from backports import zstd

from imagewright.build.context import Context, ContextLimits
from imagewright.build.remote_context import fetch_context
from imagewright.cancellation import Cancellation
from imagewright.errors import ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.events import Event, Status
from imagewright.filesystem import find
from imagewright.remote import FetchLimits
from support.builder import archive
from support.loopback import LoopbackServer, Request, Response, loopback_server

_TAR = archive({"Dockerfile": "FROM a", "sub/D": "FROM b", "f": "x"})
_PAGES = {
    "/text": Response(headers={"Content-Type": "text/plain"}, body=b"FROM c"),
    "/octets": Response(headers={"Content-Type": "application/octet-stream"}, body=b"FROM c"),
    "/unsaid": Response(body=b"FROM c"),
    "/tar": Response(headers={"Content-Type": "application/x-tar"}, body=_TAR),
    "/gzip": Response(headers={"Content-Type": "application/gzip"}, body=gzip.compress(_TAR)),
    "/xz": Response(body=lzma.compress(_TAR)),
    "/zstd": Response(body=zstd.compress(_TAR)),
    "/html": Response(headers={"Content-Type": "text/html"}, body=b"secret"),
    "/empty": Response(headers={"Content-Type": "text/plain"}),
    "/other": Response(headers={"Content-Type": "application/octet-stream"}, body=b"\0\1\2" * 400),
    "/short": Response(headers={"Content-Type": "application/x-tar"}, body=b"FROM c"),
    "/large": Response(headers={"Content-Type": "text/plain"}, body=b"# x\n" * (1 << 20) + b"x"),
    "/many": Response(
        headers={"Content-Type": "application/x-tar"}, body=archive({"Dockerfile": b"x", "f": b"1" * (2 << 20)})
    ),
    "/endless": Response(headers={"Content-Type": "text/plain"}, body=b"# x\n" * 1000, endless=True),
    "/cut": Response(headers={"Content-Type": "application/x-tar"}, body=_TAR, cut=700),
    "/moved": Response(302, {"Location": "/text"}),
    "/metadata": Response(302, {"Location": "http://169.254.169.254/latest/meta-data/"}),
    "/loop": Response(302, {"Location": "/loop"}),
}


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    def answer(request: Request) -> Response:
        return _PAGES.get(request.path, Response(404, body=b"secret"))

    with loopback_server(answer) as server:
        yield server


def _fetch(directory: Path, url: str, dockerfile: str = "") -> tuple[Context, list[Event]]:
    events: list[Event] = []
    context = fetch_context(url, str(directory), dockerfile, report=events.append, cancellation=Cancellation())
    return context, events


def _refusal(directory: Path, url: str) -> ImagewrightError:
    with pytest.raises(ImagewrightError) as raised:
        _fetch(directory, url)
    assert "secret" not in str(raised.value)
    return raised.value


@pytest.mark.parametrize("path", ["/text", "/octets", "/unsaid", "/moved"])
def test_text_is_the_dockerfile(server: LoopbackServer, tmp_path: Path, path: str) -> None:
    url = f"{server.url}{path}"
    context, events = _fetch(tmp_path, url, "ignored")
    assert (context.dockerfile, context.name, context.tree) == (b"FROM c", "Dockerfile", None)
    assert events == [Status(url, subject="Downloading context", current=6), Status("")]


@pytest.mark.parametrize("path", ["/tar", "/gzip", "/xz", "/zstd"])
@pytest.mark.parametrize(("dockerfile", "data"), [("", b"FROM a"), ("sub/D", b"FROM b")])
def test_archives_are_contexts(server: LoopbackServer, tmp_path: Path, path: str, dockerfile: str, data: bytes) -> None:
    url = f"{server.url}{path}"
    context, events = _fetch(tmp_path, url, dockerfile)
    assert context.dockerfile == data
    assert context.tree is not None
    assert find(context.tree, "f")
    told = [] if path == "/tar" else [Status(url, subject="Downloading context", current=len(_PAGES[path].body))]
    assert events == told


def test_long_downloads_are_told_of_now_and_then(server: LoopbackServer, tmp_path: Path) -> None:
    _, events = _fetch(tmp_path, f"{server.url}/many")
    counts = [event.current for event in events if isinstance(event, Status)]
    assert 3 <= len(counts) <= 6
    assert all(count is not None for count in counts)
    assert counts == sorted(counts, key=lambda count: count or 0)


def test_secrets_of_the_address_are_not_told(server: LoopbackServer, tmp_path: Path) -> None:
    _, events = _fetch(tmp_path, f"http://user:pw@{server.host}/text?token=secret#x")
    assert events[0] == Status(f"{server.url}/text", subject="Downloading context", current=6)
    assert server.requests[-1].authorization
    assert server.requests[-1].target == "/text?token=secret"
    error = _refusal(tmp_path, f"http://user:pw@{server.host}/none?token=secret")
    assert "pw" not in str(error)


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/html", InvalidInput, 'error detecting content type for remote URL: unsupported Content-Type "text/html"'),
        ("/empty", InvalidInput, "error detecting content type for remote URL: empty response"),
        ("/other", InvalidInput, "archive/tar: invalid tar header"),
        ("/large", InvalidInput, "the Dockerfile (URL) is larger than 4 MiB"),
        ("/endless", InvalidInput, "the Dockerfile (URL) is larger than 4 MiB"),
        ("/cut", InvalidInput, "unexpected EOF"),
        (
            "/none",
            NotFound,
            "error downloading remote context URL: failed to GET URL with status 404 Not Found",
        ),
        (
            "/metadata",
            ImagewrightError,
            (
                'error downloading remote context URL: Get "http://169.254.169.254/latest/meta-data/": '
                "address 169.254.169.254 is refused"
            ),
        ),
        ("/loop", InvalidInput, 'error downloading remote context URL: Get "URL": stopped after 5 redirects'),
    ],
)
def test_what_is_no_context(
    server: LoopbackServer, tmp_path: Path, path: str, kind: type[Exception], message: str
) -> None:
    url = f"{server.url}{path}"
    error = _refusal(tmp_path, url)
    assert isinstance(error, kind)
    assert str(error) == message.replace("URL", url)


def test_nobody_there(tmp_path: Path) -> None:
    error = _refusal(tmp_path, "http://127.0.0.1:1/x")
    assert isinstance(error, SystemFailure)
    assert str(error) == (
        'error downloading remote context http://127.0.0.1:1/x: Get "http://127.0.0.1:1/x": '
        "dial tcp 127.0.0.1:1: connect: connection refused"
    )


def test_limits_are_the_callers(server: LoopbackServer, tmp_path: Path) -> None:
    limits = ContextLimits(fetch=FetchLimits(size=1000), dockerfile=5)
    for path, message in (("/text", "is larger than 5 bytes"), ("/tar", "more than 1000 bytes")):
        with pytest.raises(InvalidInput, match=message):
            fetch_context(
                f"{server.url}{path}",
                str(tmp_path),
                "",
                report=lambda _: None,
                cancellation=Cancellation(),
                limits=limits,
            )


@pytest.mark.parametrize(("path", "last"), [("/other", []), ("/short", [Status("")])])
def test_what_was_told_of_bad_archives(server: LoopbackServer, tmp_path: Path, path: str, last: list[Event]) -> None:
    events: list[Event] = []
    url = f"{server.url}{path}"
    with pytest.raises(InvalidInput):
        fetch_context(url, str(tmp_path), "", report=events.append, cancellation=Cancellation())
    assert events == [Status(url, subject="Downloading context", current=len(_PAGES[path].body)), *last]
