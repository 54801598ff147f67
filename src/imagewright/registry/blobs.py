"""A blob on its way in: verified as it comes, taken up again where the connection broke."""

import hashlib
import re
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from imagewright.cancellation import Cancellation
from imagewright.errors import Corrupt, SystemFailure
from imagewright.oci import Digest
from imagewright.registry.failures import Broken, Slow
from imagewright.registry.transport import Response

__all__ = ["BlobReader", "Pause"]

_CHUNK = 1 << 20
# With bytes coming each time; a registry that breaks more often than this is of no use.
_RESUMPTIONS = 100
_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(?:\d{1,19}|\*)", re.ASCII)


class Pause(Protocol):
    """Waits before a repetition; `attempt` counts from 1."""

    def __call__(self, attempt: int, cancellation: Cancellation | None, /) -> None:
        """Wait; raises `Cancelled`."""
        ...


class BlobReader:
    """The bytes of a blob, read once; a context manager.

    The last bytes are given out only once size and digest are verified, so that whoever got all of them has the blob.
    `open_at` returns an answer (200, or 206 for an offset) with the bytes from an offset on; it is asked again after
    the connection broke.
    """

    def __init__(
        self,
        digest: Digest,
        size: int,
        open_at: Callable[[int], Response],
        *,
        tries: int,
        pause: Pause,
        cancellation: Cancellation | None = None,
    ) -> None:
        self.digest = digest
        self.size = size
        self._open_at = open_at
        self._tries = tries
        self._pause = pause
        self._cancellation = cancellation
        self._hash = hashlib.sha256()
        self._offset = 0
        self._response: Response | None = None
        self._forget: Callable[[], None] | None = None
        self._fruitless = 0
        self._slow = 0
        self._resumptions = 0
        self._failure: Exception | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def read(self, n: int, /) -> bytes:
        """Return at least one and at most `n` bytes, `b""` at the end.

        Raises `Corrupt` for bytes that are not those of the digest, `SystemFailure` if the connection breaks more often
        than it is taken up again, `Cancelled`; the same again if called once more.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._read(n)
        except Exception as error:
            self._failure = error
            self.close()
            raise

    def _read(self, n: int) -> bytes:
        if self._closed:
            raise ValueError("read of a closed blob")
        if self._cancellation is not None:
            self._cancellation.check()
        if self._offset == self.size:
            if not self.size:
                self._verify()
            return b""
        data = self._receive(min(n, self.size - self._offset))
        self._hash.update(data)
        self._offset += len(data)
        if self._offset == self.size:
            self._verify()
        return data

    def _verify(self) -> None:
        if self._hash.hexdigest() != self.digest.encoded:
            raise Corrupt(f"filesystem layer verification failed for digest {self.digest}")
        if self._response is not None:
            # At the end of its body the connection may serve again; what is not at its end is closed.
            self._drop()

    def _receive(self, n: int) -> bytes:
        """Return between one and `n` bytes from the registry, whatever connections that takes."""
        while True:
            try:
                data = self._receive_once(n)
            except Broken as error:
                self._drop()
                if self._cancellation is not None:
                    self._cancellation.check()
                self._fruitless += 1
                self._resumptions += 1
                if isinstance(error, Slow):
                    self._slow += 1
                if max(self._fruitless, self._slow) >= self._tries or self._resumptions > _RESUMPTIONS:
                    raise
                self._pause(self._fruitless, self._cancellation)
            else:
                self._fruitless = 0
                return data

    def _receive_once(self, n: int) -> bytes:
        if self._response is None:
            self._response = self._open()
        data = self._response.read(n)
        if not data:
            raise Broken(f'Get "{self._response.location}": unexpected EOF')
        return data

    def _open(self) -> Response:
        """Return an answer whose next byte is the one that is wanted."""
        self._response = response = self._open_at(self._offset)
        if self._cancellation is not None:
            self._forget = self._cancellation.on_cancel(response.abort)
        length = response.headers.get("Content-Length", "")
        start = 0
        if response.status == 206:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != self._offset:
                raise SystemFailure(f'Get "{response.location}": another range than was asked for')
            start = self._offset
        if length.isascii() and length.isdigit() and int(length[:20]) != self.size - start:
            raise Corrupt(
                f"blob {self.digest}: {int(length[:20]) + start} bytes are offered, {self.size} were promised"
            )
        # A registry that does not know ranges begins again.
        skipped = self._offset - start
        while skipped:
            data = response.read(min(skipped, _CHUNK))
            if not data:
                raise Broken(f'Get "{response.location}": unexpected EOF')
            skipped -= len(data)
        return response

    def _drop(self) -> None:
        if self._forget is not None:
            self._forget()
            self._forget = None
        if self._response is not None:
            self._response.close()
            self._response = None

    def close(self) -> None:
        """Let the connection go; idempotent."""
        self._closed = True
        self._drop()
