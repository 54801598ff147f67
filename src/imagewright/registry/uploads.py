"""A blob on its way out: in chunks, taken up again at the offset that the registry has.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

import http
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, Forbidden, ImagewrightError, SystemFailure
from imagewright.oci import Digest
from imagewright.registry.addresses import Location
from imagewright.registry.authentication import Endpoint
from imagewright.registry.failures import Broken
from imagewright.registry.session import ERROR_LIMIT, Session, told_location
from imagewright.registry.transport import Response

__all__ = ["Blob", "Progress", "Upload"]

Progress = Callable[[int], object]
"""Told how many bytes of a blob have gone out; may go back, when some have to be sent again."""

_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,19})", re.ASCII)
# Small beside what several uploads may hold in memory, large beside what a call costs.
_PIECE = 256 << 10
_LOST = frozenset({400, 404, 410, 416})
# What a repetition does not change.
_FINAL = frozenset({"digest invalid", "size invalid", "name unknown", "name invalid", "unsupported", "denied"})
# With bytes taken each time; a registry that loses its place more often than this is of no use.
_RESUMPTIONS = 100


@dataclass(frozen=True, slots=True)
class Blob:
    """What is to be sent; `open_` gives the bytes from the beginning, each time it is called."""

    digest: Digest
    size: int
    open_: Callable[[], Readable]


class Upload:
    """One blob being sent to one repository."""

    def __init__(
        self,
        session: Session,
        endpoint: Endpoint,
        repository: str,
        scopes: frozenset[str],
        blob: Blob,
        *,
        cancellation: Cancellation | None,
        progress: Progress,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._start_at = Location(endpoint.origin, f"{endpoint.prefix}/v2/{repository}/blobs/uploads/")
        self._scopes = scopes
        self._blob = blob
        self._cancellation = cancellation
        self._progress = progress
        self._location: Location | None = None
        self._offset = 0
        self._minimum = 0
        self._source: Readable | None = None
        self._position = 0
        self._begun_again = False

    def run(self) -> None:
        """Send the blob, beginning again or going on as often as there is hope; raises what remains."""
        fruitless = resumptions = 0
        try:
            while True:
                reached = self._offset
                delay = None
                try:
                    response = self._step()
                    if response is None:
                        return
                    delay, failure = self._judge(response)
                except Broken as error:
                    failure = error
                if self._cancellation is not None:
                    self._cancellation.check()
                resumptions += 1
                self._recover()
                fruitless = 0 if self._offset > reached else fruitless + 1
                if fruitless >= self._session.settings.tries or resumptions > _RESUMPTIONS:
                    raise failure
                self._session.pause(max(fruitless, 1), self._cancellation, delay)
        finally:
            self._close_source()

    def _judge(self, response: Response) -> tuple[float | None, ImagewrightError]:
        """Return how long to wait before going on, and the error if that does not help; raises it if nothing would."""
        delay = self._session.delay(response) if self._session.passing(response) else None
        answer = self._session.answer(self._endpoint, response)
        failure = self._session.refused(self._endpoint, "POST", response.location, answer)
        if answer.code == "digest invalid" and not self._begun_again:
            # Either side may have lost its place; from the beginning there is none to lose.
            self._begun_again, self._location, self._offset = True, None, 0
            return delay, failure
        lost = response.status in _LOST and self._location is not None and answer.code not in _FINAL
        if lost or self._session.passing(response):
            return delay, failure
        raise failure

    def _step(self) -> Response | None:
        """Send all that is left; return None once the registry has the blob, else the answer that came in the way."""
        if self._location is None:
            response = self._send("POST", self._start_at, length=0)
            if response.status != http.HTTPStatus.ACCEPTED:
                return response
            self._note(response)
        chunk = max(self._session.settings.upload_chunk, self._minimum)
        while self._blob.size - self._offset > chunk:
            response = self._send("PATCH", self._target(), length=chunk)
            if response.status not in {http.HTTPStatus.ACCEPTED, http.HTTPStatus.NO_CONTENT}:
                return response
            expected = self._offset + chunk
            self._note(response)
            # Where the registry stands is its word, not ours: it may have taken less.
            taken = _taken(response, expected)
            if taken > expected:
                raise SystemFailure(f'Patch "{response.location}": the registry has more of the upload than was sent')
            if taken < expected:
                raise Broken(f'Patch "{response.location}": the registry lost a part of the upload')
            self._offset = expected
        target = self._target().with_query([("digest", str(self._blob.digest))])
        response = self._send("PUT", target, length=self._blob.size - self._offset)
        if response.status not in {http.HTTPStatus.CREATED, http.HTTPStatus.NO_CONTENT}:
            return response
        response.excerpt(ERROR_LIMIT)
        self._progress(self._blob.size)
        return None

    def _target(self) -> Location:
        if self._location is None:
            raise SystemFailure("an upload has no location")
        return self._location

    def _send(self, method: str, location: Location, *, length: int) -> Response:
        offset = self._offset
        headers = {"Content-Length": str(length)}
        if length:
            headers["Content-Type"] = "application/octet-stream"
            if method == "PATCH":
                headers["Content-Range"] = f"{offset}-{offset + length - 1}"
        return self._session.send_once(
            self._endpoint,
            method,
            location,
            self._scopes,
            headers=headers,
            payload=(lambda: self._pieces(offset, length)) if length else b"",
            cancellation=self._cancellation,
        )

    def _pieces(self, offset: int, length: int) -> Iterator[bytes]:
        """Yield `length` bytes of the blob from `offset` on."""
        source = self._seek(offset)
        end = offset + length
        while self._position < end:
            if self._cancellation is not None:
                self._cancellation.check()
            data = source.read(min(_PIECE, end - self._position))
            if not data:
                raise Corrupt(f"blob {self._blob.digest}: {self._position} bytes are there, not {self._blob.size}")
            self._position += len(data)
            if self._position == self._blob.size and source.read(1):
                raise Corrupt(f"blob {self._blob.digest}: more bytes are there than {self._blob.size}")
            yield data
            self._progress(self._position)

    def _seek(self, offset: int) -> Readable:
        """Return the source, at `offset`: begun again if it is already further on."""
        if self._source is None or self._position > offset:
            self._close_source()
            self._source, self._position = self._blob.open_(), 0
        if self._position != offset and isinstance(self._source, io.IOBase) and self._source.seekable():
            self._source.seek(offset)
            self._position = offset
        while self._position < offset:
            data = self._source.read(min(_PIECE, offset - self._position))
            if not data:
                raise Corrupt(f"blob {self._blob.digest}: {self._position} bytes are there, not {self._blob.size}")
            self._position += len(data)
        return self._source

    def _close_source(self) -> None:
        close = getattr(self._source, "close", None)
        self._source = None
        if close is not None:
            close()

    def _note(self, response: Response) -> None:
        """Take the place of the next request from an answer, and let that go."""
        text = response.headers.get("Location", "")
        minimum = response.headers.get("OCI-Chunk-Min-Length", "")
        base = response.location
        response.excerpt(ERROR_LIMIT)
        if text:
            self._location = self._place(told_location(text, base))
        elif self._location is None:
            raise SystemFailure(f'Post "{base}": the registry names no place for the upload')
        if minimum.isascii() and minimum.isdigit():
            self._minimum = int(minimum[:12])

    def _place(self, told: Location) -> Location:
        """Return where to go on; raises `Forbidden` for another host than the registry.

        A registry behind a proxy that ends its TLS may name itself with http; it is reached as before.
        """
        origin = self._endpoint.origin
        if told.origin.authority == origin.authority:
            return Location(origin, told.target)
        if told.origin != origin:
            raise Forbidden(f"{self._endpoint.registry} wants the upload sent to {told.origin}, which is refused")
        return told

    def _recover(self) -> None:
        """Ask the registry how much it has; where it does not know, begin again."""
        self._close_source()
        if self._location is None:
            return
        try:
            response = self._session.send_once(
                self._endpoint, "GET", self._location, self._scopes, cancellation=self._cancellation
            )
        except Broken:
            response = None
        known = response is not None and response.status == http.HTTPStatus.NO_CONTENT
        if response is not None and known:
            self._offset = min(_taken(response, 0), self._blob.size)
            self._note(response)
        else:
            if response is not None:
                response.excerpt(ERROR_LIMIT)
            self._location, self._offset = None, 0
        self._progress(self._offset)


def _taken(response: Response, default: int) -> int:
    """Return how many bytes the registry says it has; `default` where it says nothing.

    `0-0` stands for nothing, with registries that have nothing; one that has a single byte gets it again, which costs
    a refused chunk at worst.
    """
    match = _RANGE.fullmatch(response.headers.get("Range", ""))
    if match is None:
        return default
    last = int(match[1])
    return last + 1 if last else 0
