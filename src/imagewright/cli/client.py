"""A running engine, asked over its unix socket."""

import contextlib
import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagewright.archive import Writable
from imagewright.cli.build_query import surroundings_query
from imagewright.cli.display import Display, MessageFeed
from imagewright.engine import BuildRequest, ImageQuery, ImageSummary
from imagewright.errors import (
    Conflict,
    Forbidden,
    ImagewrightError,
    InvalidInput,
    NotFound,
    SystemFailure,
    Unavailable,
    Unsupported,
)
from imagewright.oci import Digest

__all__ = ["Client", "alive"]

_ERRORS: Mapping[int, type[ImagewrightError]] = {
    400: InvalidInput,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: Unsupported,
    503: Unavailable,
}
_PIECE = 1 << 20
_PLACEHOLDERS = {"<none>:<none>", "<none>@<none>"}


class Client:
    """An engine that listens on the unix socket at `path`; holds no connection between calls.

    Every method raises `Unavailable` if nobody listens, and the engine's own errors by their status.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def version(self) -> Mapping[str, Any]:
        """Return what the engine says of itself."""
        with self._request("GET", "/version", ()) as response:
            document: Mapping[str, Any] = _document(response, dict)
            return document

    def list_images(self, query: ImageQuery) -> list[ImageSummary]:
        """Return the images that `query` selects, in the engine's order."""
        parameters = [("all", "1")] if query.all else []
        filters = _filters(query)
        if filters:
            parameters.append(("filters", json.dumps(filters)))
        with self._request("GET", "/images/json", parameters) as response:
            return [_summary(entry) for entry in _document(response, list)]

    def build(self, chunks: Iterator[bytes], request: BuildRequest, display: Display) -> Digest:
        """Build from the pieces of a tar, showing it on `display`, and return the image id."""
        feed = MessageFeed(display)
        image = None
        with self._request("POST", "/build", _build_parameters(request), chunks) as response:
            for line in response:
                if line.strip():
                    image = feed.show(json.loads(line)) or image
        if image is None:
            raise SystemFailure("the engine did not say what it built")
        return Digest.parse(image)

    def build_files(self, chunks: Iterator[bytes], request: BuildRequest, display: Display, out: Writable) -> None:
        """Build from the pieces of a tar, and write the image's files to `out` as a tar; `display` shows nothing."""
        del display
        parameters = [*_build_parameters(request), ("outputs", json.dumps([{"Type": "tar"}]))]
        with self._request("POST", "/build", parameters, chunks) as response:
            if response.getheader("Content-Type") != "application/x-tar":
                raise Unsupported("the engine does not hand out the files of what it builds")
            while piece := response.read(_PIECE):
                out.write(piece)

    @contextlib.contextmanager
    def _request(
        self, method: str, path: str, parameters: Sequence[tuple[str, str]], body: Iterator[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        target = f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path
        headers = {"Content-Type": "application/x-tar", "Transfer-Encoding": "chunked"} if body is not None else {}
        connection = _UnixConnection(self._path)
        try:
            connection.connect()
            # An engine that refuses answers before it has read everything, and may close the connection then.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, headers, encode_chunked=body is not None)
            response = connection.getresponse()
            if response.status >= 400:
                raise _refusal(response)
            yield response
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"cannot talk to the engine at unix://{self._path}: {error}") from error
        finally:
            connection.close()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def alive(path: str) -> bool:
    """Whether somebody listens on the unix socket at `path`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
        return True


def _document(response: http.client.HTTPResponse, kind: type) -> Any:
    try:
        document = json.loads(response.read())
    except ValueError as error:
        raise SystemFailure("the engine's answer is not JSON") from error
    if not isinstance(document, kind):
        raise SystemFailure("the engine's answer is of the wrong kind")
    return document


def _refusal(response: http.client.HTTPResponse) -> ImagewrightError:
    body = response.read()
    try:
        message = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode(errors="replace").strip() or response.reason
    return _ERRORS.get(response.status, SystemFailure)(message)


def _build_parameters(request: BuildRequest) -> list[tuple[str, str]]:
    """Return the query of `request`; what is not asked for is not sent."""
    parameters = [("t", tag.familiar) for tag in request.tags]
    if request.remote:
        parameters.append(("remote", request.remote))
    if request.dockerfile:
        parameters.append(("dockerfile", request.dockerfile))
    if request.target:
        parameters.append(("target", request.target))
    if request.build_args:
        parameters.append(("buildargs", json.dumps(dict(request.build_args))))
    if request.labels:
        parameters.append(("labels", json.dumps(dict(request.labels))))
    if request.cache_from:
        parameters.append(("cachefrom", json.dumps(request.cache_from)))
    if request.explain:
        parameters.append(("explain", "1"))
    if request.no_cache:
        parameters.append(("nocache", "1"))
    if request.network_mode != "default":
        parameters.append(("networkmode", request.network_mode))
    if request.platform is not None:
        parameters.append(("platform", str(request.platform)))
    if not request.remove:
        parameters.append(("rm", "0"))
    flags = {"forcerm": request.force_remove, "squash": request.squash, "pull": request.pull}
    parameters.extend((name, "1") for name, wanted in flags.items() if wanted)
    parameters.extend(surroundings_query(request.surroundings))
    return parameters


def _filters(query: ImageQuery) -> dict[str, list[str]]:
    filters = {
        "dangling": [] if query.dangling is None else [str(query.dangling).lower()],
        "label": list(query.labels),
        "before": list(query.before),
        "since": list(query.since),
        "reference": list(query.references),
    }
    return {key: values for key, values in filters.items() if values}


def _summary(entry: Mapping[str, Any]) -> ImageSummary:
    return ImageSummary(
        id=Digest.parse(entry["Id"]),
        parent=Digest.parse(entry["ParentId"]) if entry.get("ParentId") else None,
        created_ns=int(entry["Created"]) * 1_000_000_000,
        size=int(entry["Size"]),
        tags=tuple(tag for tag in entry.get("RepoTags") or () if tag not in _PLACEHOLDERS),
        digests=tuple(name for name in entry.get("RepoDigests") or () if name not in _PLACEHOLDERS),
        labels=entry.get("Labels"),
        containers=int(entry.get("Containers", -1)),
    )
