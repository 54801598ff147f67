"""What a client asks, and of whom; how it bears faults is tested next door."""

import http.server
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Descriptor, Digest
from imagewright.reference import Reference
from imagewright.registry import MANIFEST_TYPES, Client, Settings

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "digest": str(Digest.of(b"")),
            "size": 0,
        },
        "layers": [],
    }
).encode()
DIGEST = Digest.of(MANIFEST)
MANIFEST_HEADERS = {"Content-Type": f"{MANIFEST_TYPES[0]}; x=y", "Docker-Content-Digest": str(DIGEST)}

Answers = Mapping[str, tuple[Mapping[str, str], bytes]]


@contextmanager
def registry(answers: Answers) -> Iterator[tuple[str, list[str]]]:
    """Serve `answers` by path, and 404 for any other; give the `host:port`, and the list of what was asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            headers, body = answers.get(self.path, ({}, b""))
            self.send_response(200 if self.path in answers else 404)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET  # noqa: N815 # the library's name

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 # the library's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def client(**changed: tuple[str, ...]) -> Client:
    return Client(Settings(certificates="/nonexistent", environment={}, **changed), sleep=lambda _seconds: None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({}, True),
        ({"Docker-Content-Digest": "md5:0"}, False),
        ({"Content-Length": "many"}, False),
        ({"Content-Length": "9" * 30}, False),
    ],
)
def test_a_manifest_is_described_without_its_body(headers: Mapping[str, str], found: bool) -> None:
    answers = {"/v2/": ({}, b""), "/v2/team/app/manifests/1": ({**MANIFEST_HEADERS, **headers}, MANIFEST)}
    with registry(answers) as (host, _), client() as sender:
        described = sender.head_manifest(Reference.parse(f"{host}/team/app:1"))

        assert described == (Descriptor(MANIFEST_TYPES[0], str(DIGEST), len(MANIFEST)) if found else None)
        assert sender.head_manifest(Reference.parse(f"{host}/team/app:2")) is None


def test_a_mirror_is_asked_before_docker_hub() -> None:
    answers = {"/cache/v2/": ({}, b""), "/cache/v2/library/busybox/manifests/latest": (MANIFEST_HEADERS, MANIFEST)}
    with registry(answers) as (host, asked), client(mirrors=(f"http://{host}/cache/",)) as sender:
        received = sender.get_manifest(Reference.parse("busybox"))

    assert received.data == MANIFEST
    assert asked == list(answers)


def test_a_mirror_that_lacks_it_is_passed_over() -> None:
    answers = {"/v2/": ({}, b""), "/v2/library/busybox/manifests/latest": (MANIFEST_HEADERS, MANIFEST)}
    with (
        registry({}) as (empty, asked),
        registry(answers) as (full, _),
        client(mirrors=(f"http://{empty}", f"http://{full}")) as sender,
    ):
        assert sender.get_manifest(Reference.parse("busybox")).digest == DIGEST

    assert asked == ["/v2/", "/v2/library/busybox/manifests/latest"]


def test_a_mirror_that_gives_no_manifest_is_passed_over_for_good() -> None:
    name = "/v2/library/busybox/manifests/latest"
    with (
        registry({"/v2/": ({}, b""), name: ({}, b"<html>please log in</html>")}) as (portal, asked),
        registry({"/v2/": ({}, b""), name: (MANIFEST_HEADERS, MANIFEST)}) as (full, _),
        client(mirrors=(f"http://{portal}", f"http://{full}")) as sender,
    ):
        assert sender.get_manifest(Reference.parse("busybox")).digest == DIGEST
        assert sender.get_manifest(Reference.parse("busybox")).digest == DIGEST

    assert asked == ["/v2/", name]


def test_mirrors_are_of_docker_hub_only() -> None:
    answers = {"/v2/": ({}, b""), "/v2/team/app/manifests/1": (MANIFEST_HEADERS, MANIFEST)}
    with (
        registry(answers) as (mirror, asked),
        registry(answers) as (host, _),
        client(mirrors=(f"http://{mirror}",)) as sender,
    ):
        sender.get_manifest(Reference.parse(f"{host}/team/app:1"))

    assert asked == []


def test_a_term_may_begin_with_a_registry() -> None:
    results = [{"name": f"team/app{number}", "star_count": number} for number in range(3)]
    answers: Answers = {"/v1/search?q=team%2Fapp&n=2": ({}, json.dumps({"results": results}).encode())}
    with registry(answers) as (host, _), client() as sender:
        found = sender.search(f"{host}/team/app", limit=2, filters={"stars": ["1"]})

    assert [result.name for result in found] == ["team/app1"]


@pytest.mark.parametrize("limit", [0, 101])
def test_a_search_has_a_limit(limit: int) -> None:
    with client() as sender, pytest.raises(InvalidInput, match=f"limit {limit} is outside the range"):
        sender.search("busybox", limit=limit)
