"""One registry client for everything that is pulled and pushed."""

import contextlib
import copy
import hashlib
import http
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Corrupt, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.oci import Descriptor, Digest
from imagewright.reference import DEFAULT_REGISTRY, DEFAULT_TAG, Reference
from imagewright.registry.addresses import Location, Origin
from imagewright.registry.authentication import Endpoint, basic
from imagewright.registry.blobs import BlobReader
from imagewright.registry.credentials import Credential, Keychain, for_registry, no_credentials, registry_host
from imagewright.registry.documents import INDEX_TYPES, MANIFEST_TYPES, Received, read_document
from imagewright.registry.failures import pull_error
from imagewright.registry.searching import SearchResult, check_filters, matching, read_results
from imagewright.registry.session import ERROR_LIMIT, Known, Session, told_location
from imagewright.registry.settings import Settings
from imagewright.registry.transport import Response, Transport
from imagewright.registry.uploads import Blob, Progress, Upload

__all__ = ["Client", "LoginResult", "Progress"]

_MANIFEST_LIMIT = 4 << 20
_LIST_LIMIT = 4 << 20
_PAGE = 1000
_PAGES = 1000
_SEARCH_LIMIT = 100
_HUB_SEARCH = Endpoint(DEFAULT_REGISTRY, Origin("https", "index.docker.io", 443), verified=True)
_NEXT_LINK = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class LoginResult:
    """What a registry made of a credential; `identity_token` replaces the password where there is one."""

    status: str
    identity_token: str = field(default="", repr=False)


class _Tags(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = ()


class Client:
    """Speaks to registries; safe to use from many threads.

    A context manager; `close` drops the connections. Every method may raise `NotFound` and `Forbidden` in the engine's
    words, `Unavailable` for a registry that asks to wait longer than it may, `Corrupt` for bytes that are not what was
    promised, `SystemFailure` for what went wrong on the way, and `Cancelled`. No message holds a credential.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        keychain: Keychain = no_credentials,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Take `sleep` in place of waiting on the cancellation token, in seconds, as `clock` tells them."""
        self._connect(Transport(settings or Settings(), clock), keychain, {}, sleep)

    def _connect(
        self, transport: Transport, keychain: Keychain, known: Known, sleep: Callable[[float], object] | None
    ) -> None:
        self._transport = transport
        self._known = known
        self._sleep = sleep
        self._session = Session(transport, keychain, known, sleep)
        self._failed_mirrors: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Drop the idle connections; those in use go when their work is done. Idempotent."""
        self._transport.close()

    def with_keychain(self, keychain: Keychain) -> "Client":
        """Return a client with the same settings and connections and another keychain; it is not closed by itself."""
        other = Client.__new__(Client)
        other._connect(self._transport, keychain, self._known, self._sleep)  # noqa: SLF001 # of the same class
        return other

    def without_mirrors(self) -> "Client":
        """Return a client that asks the registry itself, otherwise the same; it is not closed by itself."""
        other = copy.copy(self)
        other._failed_mirrors = set(range(len(self._session.settings.mirrors)))  # noqa: SLF001 # of the same class
        return other

    def uses_mirrors(self, reference: Reference) -> bool:
        """Tell whether something of what `reference` names may come from a mirror."""
        return len(self._session.pull_endpoints(reference.registry)) > 1 + len(self._failed_mirrors)

    def get_manifest(
        self,
        reference: Reference,
        *,
        accept: Sequence[str] = MANIFEST_TYPES + INDEX_TYPES,
        cancellation: Cancellation | None = None,
    ) -> Received:
        """Return the manifest or index that the digest, else the tag (else `latest`) of `reference` names, verified."""

        def ask(endpoint: Endpoint) -> Received:
            received = self._get_manifest(endpoint, reference, accept, cancellation)
            if endpoint.registry != reference.registry:
                # What a mirror says, or whatever stands before it, need not be a manifest at all.
                read_document(received)
            return received

        return self._pull(reference, ask, cancellation)

    def _get_manifest(
        self, endpoint: Endpoint, reference: Reference, accept: Sequence[str], cancellation: Cancellation | None
    ) -> Received:
        response = self._ask_manifest("GET", endpoint, reference, accept, cancellation)
        if response.status != http.HTTPStatus.OK:
            raise self._pull_refusal(endpoint, "GET", response, reference)
        data = response.body
        digest = Digest.of(data)
        told = response.headers.get("Docker-Content-Digest", "")
        for promised in filter(None, (str(reference.digest or ""), told)):
            if not _fits(data, promised):
                raise Corrupt(f"manifest verification failed for digest {promised[:100]!r}")
        return Received(response.headers.get("Content-Type", ""), digest, data)

    def head_manifest(self, reference: Reference, *, cancellation: Cancellation | None = None) -> Descriptor | None:
        """Return type, digest and size of what `get_manifest` would; None if there is none or the answer is silent."""
        endpoint = self._session.origin_endpoint(reference.registry, cancellation)
        response = self._ask_manifest("HEAD", endpoint, reference, MANIFEST_TYPES + INDEX_TYPES, cancellation)
        if response.status == http.HTTPStatus.NOT_FOUND:
            response.excerpt(ERROR_LIMIT)
            return None
        if response.status != http.HTTPStatus.OK:
            raise self._pull_refusal(endpoint, "HEAD", response, reference)
        response.excerpt(ERROR_LIMIT)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip()
        size = response.headers.get("Content-Length", "")
        try:
            digest = Digest.parse(response.headers.get("Docker-Content-Digest", ""))
        except InvalidInput:
            return None
        if not (size.isascii() and size.isdigit() and len(size) < 19):
            return None
        return Descriptor(kind, str(digest), int(size))

    def _ask_manifest(
        self,
        method: str,
        endpoint: Endpoint,
        reference: Reference,
        accept: Sequence[str],
        cancellation: Cancellation | None,
    ) -> Response:
        name = str(reference.digest) if reference.digest is not None else reference.tag or DEFAULT_TAG
        return self._session.send(
            endpoint,
            method,
            _at(endpoint, reference, f"manifests/{name}"),
            _pull_scope(reference),
            headers={"Accept": ", ".join(accept)},
            limit=_MANIFEST_LIMIT,
            cancellation=cancellation,
        )

    def open_blob(
        self, reference: Reference, descriptor: Descriptor, *, cancellation: Cancellation | None = None
    ) -> BlobReader:
        """Return the blob as a stream, to be closed; its last bytes come only once size and digest are verified.

        Raises `Corrupt` while reading otherwise. A broken connection is taken up where it broke. `urls` are ignored.
        """
        digest = descriptor.address

        def open_at(endpoint: Endpoint, offset: int) -> Response:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            location = _at(endpoint, reference, f"blobs/{digest}")
            response = self._session.send(
                endpoint,
                "GET",
                location,
                _pull_scope(reference),
                headers=headers,
                resume=True,
                cancellation=cancellation,
            )
            if response.status not in {http.HTTPStatus.OK, http.HTTPStatus.PARTIAL_CONTENT}:
                raise self._pull_refusal(endpoint, "GET", response, reference, blob=digest)
            return response

        return BlobReader(
            digest,
            descriptor.size,
            lambda offset: self._pull(reference, lambda endpoint: open_at(endpoint, offset), cancellation),
            tries=self._session.settings.tries,
            pause=self._session.pause,
            cancellation=cancellation,
        )

    def has_blob(self, reference: Reference, digest: Digest, *, cancellation: Cancellation | None = None) -> bool:
        """Tell whether the repository has the blob; asked as one who will push if not."""
        endpoint = self._session.origin_endpoint(reference.registry, cancellation)
        location = _at(endpoint, reference, f"blobs/{digest}")
        response = self._session.send(endpoint, "HEAD", location, _push_scope(reference), cancellation=cancellation)
        if response.status == http.HTTPStatus.NOT_FOUND:
            response.excerpt(ERROR_LIMIT)
            return False
        if response.status != http.HTTPStatus.OK:
            raise self._session.refusal(endpoint, "HEAD", response)
        response.excerpt(ERROR_LIMIT)
        return True

    def mount_blob(
        self,
        reference: Reference,
        digest: Digest,
        from_repository: str,
        *,
        cancellation: Cancellation | None = None,
    ) -> bool:
        """Ask the registry to take the blob from another repository of its own; return whether it did."""
        endpoint = self._session.origin_endpoint(reference.registry, cancellation)
        location = _at(endpoint, reference, "blobs/uploads/").with_query(
            [("mount", str(digest)), ("from", from_repository)]
        )
        scopes = _push_scope(reference) | {f"repository:{from_repository}:pull"}
        response = self._session.send(
            endpoint, "POST", location, scopes, headers={"Content-Length": "0"}, cancellation=cancellation
        )
        if response.status == http.HTTPStatus.ACCEPTED:
            # The registry began an upload instead, which nobody wants.
            place = response.headers.get("Location", "")
            response.excerpt(ERROR_LIMIT)
            with contextlib.suppress(SystemFailure):
                upload = told_location(place, location)
                if upload.origin == endpoint.origin:
                    self._session.send_once(
                        endpoint, "DELETE", upload, _push_scope(reference), cancellation=cancellation
                    ).excerpt(ERROR_LIMIT)
            return False
        if response.status == http.HTTPStatus.CREATED:
            response.excerpt(ERROR_LIMIT)
            return True
        raise self._session.refusal(endpoint, "POST", response)

    def upload_blob(
        self,
        reference: Reference,
        size: int,
        digest: Digest,
        open_: Callable[[], Readable],
        *,
        cancellation: Cancellation | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Send a blob of `size` bytes; `open_` gives them from the beginning, again for each repetition. Idempotent.

        What `open_` returns is closed if it can be, and sought in if it is a seekable file.
        """
        Upload(
            self._session,
            self._session.origin_endpoint(reference.registry, cancellation),
            reference.repository,
            _push_scope(reference),
            Blob(digest, size, open_),
            cancellation=cancellation,
            progress=progress or _silent,
        ).run()

    def put_manifest(
        self, reference: Reference, media_type: str, data: bytes, *, cancellation: Cancellation | None = None
    ) -> Digest:
        """Store a manifest under the tag of `reference`, else under its digest; return its digest. Idempotent."""
        digest = Digest.of(data)
        if reference.digest not in {None, digest}:
            raise InvalidInput(f"the manifest for {reference.familiar} has the digest {digest}")
        endpoint = self._session.origin_endpoint(reference.registry, cancellation)
        response = self._session.send(
            endpoint,
            "PUT",
            _at(endpoint, reference, f"manifests/{reference.tag or digest}"),
            _push_scope(reference),
            headers={"Content-Type": media_type},
            payload=data,
            cancellation=cancellation,
        )
        if response.status not in {http.HTTPStatus.CREATED, http.HTTPStatus.ACCEPTED, http.HTTPStatus.OK}:
            raise self._session.refusal(endpoint, "PUT", response)
        told = response.headers.get("Docker-Content-Digest", "")
        response.excerpt(ERROR_LIMIT)
        if told.startswith("sha256:") and told != str(digest):
            raise Corrupt(f"the registry stored another manifest than was sent: {told[:100]} for {digest}")
        return digest

    def list_tags(self, reference: Reference, *, cancellation: Cancellation | None = None) -> list[str]:
        """Return the repository's tags, all pages, in the registry's order."""
        return self._pull(reference, lambda endpoint: self._list_tags(endpoint, reference, cancellation), cancellation)

    def _list_tags(self, endpoint: Endpoint, reference: Reference, cancellation: Cancellation | None) -> list[str]:
        found: list[str] = []
        seen: set[str] = set()
        location = _at(endpoint, reference, "tags/list").with_query([("n", str(_PAGE))])
        for _ in range(_PAGES):
            seen.add(location.target)
            response = self._session.send(
                endpoint, "GET", location, _pull_scope(reference), limit=_LIST_LIMIT, cancellation=cancellation
            )
            if response.status != http.HTTPStatus.OK:
                raise self._pull_refusal(endpoint, "GET", response, reference)
            link = _NEXT_LINK.search(response.headers.get("Link", ""))
            try:
                found += msgspec.json.decode(response.body, type=_Tags).tags or ()
            except (msgspec.DecodeError, RecursionError) as error:
                raise SystemFailure(f'Get "{location}": the list of tags is none') from error
            if link is None:
                return found
            location = told_location(link[1], location)
            self._session.check_target(endpoint, endpoint.origin, location.origin)
            if location.target in seen:
                break
        raise SystemFailure(f'Get "{location}": the list of tags has no end')

    def login(self, registry: str, credential: Credential, *, cancellation: Cancellation | None = None) -> LoginResult:
        """Ask the registry (`host:port`, or as Docker's configuration has it) whether it knows `credential`.

        Raises `Forbidden` if not. An identity token is asked for, and returned if the registry gives them.
        """
        registry = registry_host(registry) or DEFAULT_REGISTRY
        session = Session(self._transport, for_registry(registry, credential), self._known, self._sleep)
        endpoint = session.origin_endpoint(registry, cancellation)
        challenge = session.authenticator.challenge(endpoint)
        location = Location(endpoint.origin, f"{endpoint.prefix}/v2/")
        authorization, identity = "", ""
        if challenge is not None and challenge.scheme == "bearer":
            token = session.authenticator.fetch_token(
                endpoint, challenge, frozenset(), credential, offline=True, cancellation=cancellation
            )
            authorization, identity = f"Bearer {token.access}", token.identity
        elif challenge is not None:
            authorization = basic(credential)
        response = session.send_as(endpoint, "GET", location, authorization, cancellation)
        if response.status != http.HTTPStatus.OK:
            answer = session.answer(endpoint, response)
            if answer.status == http.HTTPStatus.UNAUTHORIZED:
                raise Forbidden(f"login attempt to {location} failed with status: 401 Unauthorized")
            raise session.refused(endpoint, "GET", location, answer)
        response.excerpt(ERROR_LIMIT)
        return LoginResult("Login Succeeded", identity)

    def search(
        self,
        term: str,
        *,
        limit: int = 25,
        filters: Mapping[str, Sequence[str]] | None = None,
        cancellation: Cancellation | None = None,
    ) -> list[SearchResult]:
        """Return repositories that match `term`, which may begin with a registry; on Docker Hub otherwise.

        Raises `InvalidInput` for a limit outside of 1 to 100, and for filters other than `is-official`,
        `is-automated` and `stars`.
        """
        if not 1 <= limit <= _SEARCH_LIMIT:
            raise InvalidInput(f"limit {limit} is outside the range of [1, {_SEARCH_LIMIT}]")
        check_filters(filters or {})
        first, slash, rest = term.partition("/")
        endpoint = _HUB_SEARCH
        if slash and ("." in first or ":" in first or first == "localhost"):
            term = rest
            if registry_host(first) != DEFAULT_REGISTRY:
                endpoint = self._session.origin_endpoint(first.lower(), cancellation)
        location = Location(endpoint.origin, f"{endpoint.prefix}/v1/search").with_query(
            [("q", term), ("n", str(limit))]
        )
        response = self._session.send(
            endpoint, "GET", location, frozenset(), limit=_LIST_LIMIT, cancellation=cancellation
        )
        if response.status != http.HTTPStatus.OK:
            raise self._session.refusal(endpoint, "GET", response)
        return matching(read_results(response.body)[:limit], filters or {})

    def _pull(self, reference: Reference, ask: Callable[[Endpoint], _T], cancellation: Cancellation | None) -> _T:
        """Return what the first endpoint gives that gives anything; raises the last one's error."""
        *mirrors, origin = self._session.pull_endpoints(reference.registry)
        for number, reach in enumerate(mirrors):
            if number in self._failed_mirrors:
                continue
            try:
                return ask(reach(cancellation))
            except Cancelled:
                raise
            except ImagewrightError:
                # A mirror is a convenience: whatever is wrong with it, the registry itself decides. What made one
                # request fail would spoil the rest of the image too.
                self._failed_mirrors.add(number)
        return ask(origin(cancellation))

    def _pull_refusal(
        self, endpoint: Endpoint, method: str, response: Response, reference: Reference, *, blob: Digest | None = None
    ) -> ImagewrightError:
        answer = self._session.answer(endpoint, response)
        if answer.status == http.HTTPStatus.UNAUTHORIZED and self._session.authenticator.lacks_basic(endpoint):
            return self._session.refused(endpoint, method, response.location, answer)
        if blob is not None and answer.status == http.HTTPStatus.NOT_FOUND:
            return NotFound(f"blob {blob} of {reference.familiar_name} not found: {answer.text}")
        return pull_error(answer, reference)


def _at(endpoint: Endpoint, reference: Reference, rest: str) -> Location:
    return Location(endpoint.origin, f"{endpoint.prefix}/v2/{reference.repository}/{rest}")


def _pull_scope(reference: Reference) -> frozenset[str]:
    return frozenset({f"repository:{reference.repository}:pull"})


def _push_scope(reference: Reference) -> frozenset[str]:
    return frozenset({f"repository:{reference.repository}:pull,push"})


def _fits(data: bytes, digest: str) -> bool:
    """Tell whether `data` has this digest; none that is not known fits."""
    algorithm, _, encoded = digest.partition(":")
    known = {"sha256": hashlib.sha256, "sha512": hashlib.sha512}.get(algorithm)
    return known is not None and known(data).hexdigest() == encoded


def _silent(_sent: int) -> None:
    return None
