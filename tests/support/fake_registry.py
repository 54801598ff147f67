"""A registry in memory, on a loopback address, that goes wrong where a test's table of faults says so.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md (version 1.1), as far as clients of images use it.
Every request is kept in `server.requests`, so that a test can say which host was told which credential.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import re
import ssl
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from support.loopback import Body, Drop, Fault, LoopbackServer, Request, Response, loopback_server
from support.token_server import TokenServer

__all__ = [
    "DOCKER_INDEX",
    "DOCKER_MANIFEST",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "FakeRegistry",
    "FakeRepository",
    "basic",
    "cut",
    "dripping",
    "endless",
    "fake_registry",
    "headers",
    "make_image",
    "redirect",
    "status",
    "torn",
]

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

_ROUTE = re.compile(r"/v2/(?P<name>[a-z0-9/._-]+)/(?P<kind>manifests|blobs|tags)/(?P<rest>.+)")
_UPLOAD = re.compile(r"/v2/(?P<name>[a-z0-9/._-]+)/blobs/uploads/(?P<upload>[0-9]*)")

Change = Callable[[Request, Response], Response]


@dataclass
class FakeRepository:
    """What one repository holds, by digest; `types` are the media types of its manifests."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)


@dataclass
class FakeRegistry:
    """Serves `repositories`; wants a password of `accounts`, or a token of `tokens`, if it has one of them.

    `page` is how many tags one answer lists, `minimum` the least bytes of a chunk of an upload (told to the client in
    OCI-Chunk-Min-Length), `search` what Docker Hub's search answers with.
    """

    accounts: Mapping[str, str] | None = None
    tokens: TokenServer | None = None
    page: int = 100
    minimum: int = 0
    search: list[dict[str, object]] = field(default_factory=list)
    repositories: dict[str, FakeRepository] = field(default_factory=dict)
    running: LoopbackServer | None = None
    issued: int = 0

    @property
    def server(self) -> LoopbackServer:
        """The server, which must run."""
        assert self.running is not None
        return self.running

    @property
    def host(self) -> str:
        """The `host:port`."""
        return self.server.host

    def fault(self, pattern: str, change: Change | None = None, **how: object) -> None:
        """Add a fault; see `support.loopback.Fault`."""
        self.server.faults.append(Fault(pattern, change, **how))  # type: ignore[arg-type]

    def repository(self, name: str) -> FakeRepository:
        """Return the repository, which is made if it is new."""
        return self.repositories.setdefault(name, FakeRepository())

    def add_blob(self, name: str, data: bytes) -> str:
        """Put a blob there; return its digest."""
        digest = _digest(data)
        self.repository(name).blobs[digest] = data
        return digest

    def add_manifest(self, name: str, tag: str, media_type: str, document: Mapping[str, object] | bytes) -> str:
        """Put a manifest or an index there, tagged unless `tag` is empty; return its digest."""
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        digest = _digest(data)
        repository = self.repository(name)
        repository.manifests[digest], repository.types[digest] = data, media_type
        if tag:
            repository.tags[tag] = digest
        return digest

    def answer(self, request: Request) -> Response:
        """Answer one request, as `loopback_server` wants it."""
        if request.path.startswith("/v1/search"):
            found = {"num_results": len(self.search), "results": self.search}
            return _json(found)
        scopes = _scopes(request)
        if not self._authorized(request, scopes):
            return self._challenge(scopes)
        if request.path == "/v2/":
            return _json({})
        upload = _UPLOAD.fullmatch(request.path)
        if upload is not None:
            return self._answer_upload(request, upload["name"], upload["upload"])
        route = _ROUTE.fullmatch(request.path)
        if route is None:
            return failure(404, "NOT_FOUND", "page not found")
        name, rest = route["name"], route["rest"]
        if route["kind"] == "manifests":
            return self._answer_manifest(request, name, rest)
        return self._answer_blob(request, name, rest) if route["kind"] == "blobs" else self._answer_tags(request, name)

    def _authorized(self, request: Request, scopes: list[str]) -> bool:
        if self.tokens is not None:
            return all(self.tokens.allows(request.authorization, scope) for scope in scopes or [""])
        if self.accounts is not None:
            return request.authorization in {basic(user, word) for user, word in self.accounts.items()}
        return True

    def _challenge(self, scopes: list[str]) -> Response:
        answer = failure(401, "UNAUTHORIZED", "authentication required")
        scope = ""
        if scopes:
            scope = f"{scopes[0].rpartition(':')[0]}:{','.join(scope.rpartition(':')[2] for scope in scopes)}"
        value = 'Basic realm="tests"' if self.tokens is None else self.tokens.challenge(scope)
        return replace(answer, headers={**answer.headers, "WWW-Authenticate": value})

    def _answer_manifest(self, request: Request, name: str, wanted: str) -> Response:
        if request.method == "PUT":
            tag = "" if wanted.startswith("sha256:") else wanted
            data = request.body.read()
            digest = self.add_manifest(name, tag, request.headers.get("content-type", ""), data)
            if not tag and digest != wanted:
                return failure(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            location = f"/v2/{name}/manifests/{digest}"
            return Response(201, {"Location": location, "Docker-Content-Digest": digest})
        repository = self.repositories.get(name)
        if repository is None:
            return failure(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        digest = repository.tags.get(wanted, wanted)
        if digest not in repository.manifests:
            return failure(404, "MANIFEST_UNKNOWN", "manifest unknown", {"Tag": wanted})
        found = {"Content-Type": repository.types[digest], "Docker-Content-Digest": digest}
        return Response(200, found, repository.manifests[digest])

    def _answer_blob(self, request: Request, name: str, digest: str) -> Response:
        repository = self.repositories.get(name)
        if repository is None or digest not in repository.blobs:
            return failure(404, "BLOB_UNKNOWN", "blob unknown to registry", {"digest": digest})
        data = repository.blobs[digest]
        found = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest, "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
        if span is None:
            return Response(200, found, data)
        start, end = int(span[1]), min(int(span[2] or len(data) - 1), len(data) - 1)
        if start > end:
            return Response(416, {"Content-Range": f"bytes */{len(data)}"})
        return Response(206, {**found, "Content-Range": f"bytes {start}-{end}/{len(data)}"}, data[start : end + 1])

    def _answer_tags(self, request: Request, name: str) -> Response:
        if name not in self.repositories:
            return failure(404, "NAME_UNKNOWN", "repository name not known to registry", {"name": name})
        last = request.query.get("last", [""])[0]
        size = min(self.page, int(request.query.get("n", ["100"])[0]))
        left = [tag for tag in sorted(self.repositories[name].tags) if tag > last]
        answer = _json({"name": name, "tags": left[:size]})
        if len(left) <= size:
            return answer
        query = urllib.parse.urlencode({"last": left[size - 1], "n": size})
        return replace(answer, headers={**answer.headers, "Link": f'</v2/{name}/tags/list?{query}>; rel="next"'})

    def _answer_upload(self, request: Request, name: str, upload: str) -> Response:
        repository = self.repository(name)
        if not upload:
            return self._begin_upload(request, name)
        if upload not in repository.uploads:
            return failure(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        data = repository.uploads[upload]
        if request.method == "DELETE":
            del repository.uploads[upload]
            return Response(204)
        span = re.fullmatch(r"(?:bytes )?(\d+)-(\d+)(?:/.*)?", request.headers.get("content-range", ""))
        if span is not None and int(span[1]) != len(data):
            return replace(_progress(name, upload, data), status=416)
        # What came stays, also where the connection ends in the middle: that is what can be resumed.
        while request.method in {"PATCH", "PUT"} and (piece := request.body.read(1 << 14)):
            data += piece
        if request.method != "PUT":
            return replace(_progress(name, upload, data), status=204 if request.method == "GET" else 202)
        del repository.uploads[upload]
        return self._finish_upload(name, bytes(data), request.query["digest"][0])

    def _begin_upload(self, request: Request, name: str) -> Response:
        digest = request.query.get("mount", [""])[0]
        source = self.repositories.get(request.query.get("from", [""])[0])
        if digest and source is not None and digest in source.blobs:
            return self._finish_upload(name, source.blobs[digest], digest)
        if "digest" in request.query:
            return self._finish_upload(name, request.body.read(), request.query["digest"][0])
        self.issued += 1
        upload = str(self.issued)
        data = self.repository(name).uploads.setdefault(upload, bytearray())
        answer = _progress(name, upload, data)
        least = {"OCI-Chunk-Min-Length": str(self.minimum)} if self.minimum else {}
        return replace(answer, headers={**answer.headers, **least})

    def _finish_upload(self, name: str, data: bytes, digest: str) -> Response:
        if _digest(data) != digest:
            return failure(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
        self.add_blob(name, data)
        return Response(201, {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest})


@contextlib.contextmanager
def fake_registry(
    registry: FakeRegistry | None = None, *, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[FakeRegistry]:
    """Run the registry on a free port of `address` until the block ends."""
    registry = registry or FakeRegistry()
    with loopback_server(registry.answer, address=address, tls=tls) as server:
        registry.running = server
        yield registry


def make_image(
    registry: FakeRegistry,
    name: str,
    tag: str,
    *layers: bytes,
    architecture: str = "amd64",
    media_type: str = OCI_MANIFEST,
) -> str:
    """Put an image of these uncompressed layers there, gzipped; return the digest of its manifest."""
    family = "oci.image" if media_type == OCI_MANIFEST else "docker"
    kinds = {
        "oci.image": ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"),
        "docker": (
            "application/vnd.docker.container.image.v1+json",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
        ),
    }
    config_type, layer_type = kinds[family]
    rootfs = {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]}
    config = json.dumps({"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs}).encode()
    blobs = [gzip.compress(layer, mtime=0) for layer in layers]
    described = [
        {"mediaType": layer_type, "digest": registry.add_blob(name, blob), "size": len(blob)} for blob in blobs
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": registry.add_blob(name, config), "size": len(config)},
        "layers": described,
    }
    return registry.add_manifest(name, tag, media_type, document)


def basic(user: str, password: str) -> str:
    """Return the Authorization header of Basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def failure(status: int, code: str, message: str, detail: object = None) -> Response:
    """Return an error as registries send it."""
    answer = _json({"errors": [{"code": code, "message": message, "detail": detail}]})
    return replace(answer, status=status)


def status(number: int, code: str = "UNKNOWN", message: str = "unknown error", **extra: str) -> Change:
    """Return a fault: another status, with an error body; `extra` headers have underscores for hyphens."""
    more = {name.replace("_", "-"): value for name, value in extra.items()}

    def change(_request: Request, _response: Response) -> Response:
        answer = failure(number, code, message)
        return replace(answer, headers={**answer.headers, **more})

    return change


def headers(*without: str, **changed: str) -> Change:
    """Return a fault: headers left out, or changed (underscores for hyphens)."""

    def change(_request: Request, response: Response) -> Response:
        kept = {name: value for name, value in response.headers.items() if name not in without}
        return replace(response, headers={**kept, **{name.replace("_", "-"): value for name, value in changed.items()}})

    return change


def cut(position: int, *, reset: bool = False) -> Change:
    """Return a fault: the connection ends after `position` bytes of the body, or of what a Range asked for."""
    return lambda _request, response: replace(response, cut=position, reset=reset)


def dripping(seconds: float) -> Change:
    """Return a fault: one byte of the body, a pause, one byte."""
    return lambda _request, response: replace(response, drip=seconds)


def endless(piece: bytes = bytes(1 << 16)) -> Change:
    """Return a fault: a body that goes on, without a length."""
    return lambda _request, response: replace(response, body=piece, endless=True)


def redirect(url: str, number: int = 307) -> Change:
    """Return a fault: a redirect to `url`, in which `{target}` stands for what was asked."""
    return lambda request, _response: Response(number, {"Location": url.replace("{target}", request.target)})


def torn(position: int) -> Callable[[Request], None]:
    """Return how a request is prepared whose connection ends after `position` bytes of its body."""

    def prepare(request: Request) -> None:
        request.body = _Torn(request.body, position)

    return prepare


class _Torn:
    def __init__(self, body: Body, position: int) -> None:
        self._body = body
        self._left = position
        self.seen = b""

    def read(self, n: int = -1, /) -> bytes:
        if self._left <= 0:
            raise Drop
        data = self._body.read(self._left if n < 0 else min(n, self._left))
        self.seen += data
        self._left -= len(data)
        if n < 0:
            raise Drop
        return data


def _scopes(request: Request) -> list[str]:
    match = _UPLOAD.fullmatch(request.path) or _ROUTE.fullmatch(request.path)
    if match is None:
        return []
    scope = f"repository:{match['name']}"
    return [f"{scope}:pull"] if request.method in {"GET", "HEAD"} else [f"{scope}:pull", f"{scope}:push"]


def _progress(name: str, upload: str, data: bytearray) -> Response:
    fields = {"Location": f"/v2/{name}/blobs/uploads/{upload}?state=s", "Docker-Upload-UUID": upload}
    # A range of nothing cannot be written; docker-registry says this, which also means one byte.
    return Response(202, {**fields, "Range": f"0-{max(0, len(data) - 1)}"})


def _json(document: object) -> Response:
    return Response(200, {"Content-Type": "application/json"}, json.dumps(document).encode())


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
