"""A running engine, asked over its unix socket."""

import contextlib
import http.client
import json
import socket
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from imagewright.archive import Compression, Writable
from imagewright.cli.build_query import surroundings_query
from imagewright.cli.display import Display, MessageFeed
from imagewright.cli.keychain import auth_header, config_header
from imagewright.cli.secrets import secrets_header
from imagewright.cli.transfer import ShowStatus, read_status
from imagewright.engine import BuildRequest, ImageQuery, ImageSummary, Removal
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
from imagewright.reference import Reference
from imagewright.registry import Credential, Keychain, LoginResult, server_address

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

    def pull(
        self, reference: Reference, *, platform: str, all_tags: bool, keychain: Keychain, show: ShowStatus
    ) -> None:
        """Have the engine fetch an image, or all tags of a repository, with what `keychain` has for its registry."""
        parameters = [("fromImage", reference.familiar_name)]
        if not all_tags:
            reference = reference.with_default_tag()
            parameters.append(("tag", str(reference.digest or reference.tag)))
        if platform:
            parameters.append(("platform", platform))
        self._transfer("/images/create", parameters, reference, keychain, show)

    def push(
        self,
        reference: Reference,
        *,
        all_tags: bool,
        compression: Compression | None,
        keychain: Keychain,
        show: ShowStatus,
    ) -> None:
        """Have the engine send an image, or all tags of a repository, with what `keychain` has for its registry."""
        parameters = [] if all_tags else [("tag", reference.with_default_tag().tag)]
        if compression is not None:
            parameters.append(("compression", compression))
        self._transfer(f"/images/{_quoted(reference.familiar_name)}/push", parameters, reference, keychain, show)

    def _transfer(
        self,
        path: str,
        parameters: Sequence[tuple[str, str]],
        reference: Reference,
        keychain: Keychain,
        show: ShowStatus,
    ) -> None:
        headers = auth_header(reference.registry, keychain(reference.registry))
        with self._request("POST", path, parameters, headers=headers) as response:
            for line in response:
                if line.strip():
                    show(read_status(json.loads(line)))

    def login(self, registry: str, credential: Credential) -> LoginResult:
        """Have the engine ask `registry` (as in `Reference.registry`) whether it knows `credential`."""
        body = {
            "serveraddress": server_address(registry),
            "username": credential.username,
            "password": credential.password,
            "identitytoken": credential.identity_token,
        }
        headers = {"Content-Type": "application/json"}
        with self._request("POST", "/auth", (), json.dumps(body).encode(), headers) as response:
            document = _document(response, dict)
        return LoginResult(str(document.get("Status") or ""), str(document.get("IdentityToken") or ""))

    def tag(self, name: str, reference: Reference) -> None:
        """Let `reference` name the image called `name`."""
        parameters = [("repo", reference.familiar_name), ("tag", reference.with_default_tag().tag)]
        with self._request("POST", f"/images/{_quoted(name)}/tag", parameters):
            pass

    def remove(self, name: str, *, force: bool, prune: bool) -> Sequence[Removal]:
        """Take a name away, and delete the image if that was its last; return what was done, in order."""
        parameters = [("force", "1")] if force else []
        parameters += [] if prune else [("noprune", "1")]
        with self._request("DELETE", f"/images/{_quoted(name)}", parameters) as response:
            return [_removal(entry) for entry in _document(response, list)]

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
        headers = self._build_headers(request)
        with self._request("POST", "/build", _build_parameters(request), chunks, headers) as response:
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
        with self._request("POST", "/build", parameters, chunks, self._build_headers(request)) as response:
            if response.getheader("Content-Type") != "application/x-tar":
                raise Unsupported("the engine does not hand out the files of what it builds")
            while piece := response.read(_PIECE):
                out.write(piece)

    def _build_headers(self, request: BuildRequest) -> dict[str, str]:
        if request.agents:
            raise InvalidInput(
                f"--ssh: the engine at unix://{self._path} is another process: lend it the agent with "
                "`serve --ssh-agent`, or build with an engine in this one (--data-root)"
            )
        return {
            "Content-Type": "application/x-tar",
            **config_header(request.keychain),
            **secrets_header(request.secrets),
        }

    @contextlib.contextmanager
    def _request(
        self,
        method: str,
        path: str,
        parameters: Sequence[tuple[str, str]],
        body: Iterator[bytes] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        target = f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path
        headers, chunked = dict(headers or {}), body is not None and not isinstance(body, bytes)
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif body is None and method == "POST":
            headers["Content-Length"] = "0"
        connection = _UnixConnection(self._path)
        try:
            connection.connect()
            # An engine that refuses answers before it has read everything, and may close the connection then.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body, headers, encode_chunked=chunked)
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
    if request.contexts:
        parameters.append(("contexts", json.dumps(dict(request.contexts))))
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
    parameters.extend(("allow", name) for name in sorted(request.allow))
    parameters.extend(surroundings_query(request.surroundings))
    return parameters


def _quoted(name: str) -> str:
    # The slashes and colons of names stand in paths as they are.
    return urllib.parse.quote(name, safe="/:@")


def _removal(entry: Mapping[str, Any]) -> Removal:
    if "Untagged" in entry:
        return Removal(untagged=str(entry["Untagged"]))
    return Removal(deleted=Digest.parse(entry["Deleted"]))


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
