"""What went wrong on the way to a registry, or what it answered, in the words of the engine."""

import errno
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
import urllib3.exceptions

from imagewright.errors import Forbidden, ImagewrightError, NotFound, SystemFailure, Unavailable
from imagewright.reference import Reference
from imagewright.registry.addresses import Location
from imagewright.registry.challenges import Challenge

__all__ = ["Answer", "Broken", "Slow", "answer_error", "describe_failure", "pull_error", "read_answer", "retry_after"]

_TEXT_LIMIT = 500
_DEFAULTS = {
    "denied": "requested access to the resource is denied",
    "unauthorized": "authentication required",
    "toomanyrequests": "too many requests",
}
_OAUTH_ERRORS = {"invalid_token": "unauthorized", "insufficient_scope": "denied"}


class Broken(SystemFailure):
    """The connection was there and broke, or was too slow: the same request may yet succeed."""


class Slow(Broken):
    """The connection is there, and too little comes over it: tried again, but not for ever."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status of 400 or more, with the code and message of the first error in the body, where there is one.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes; `code` in the engine's spelling:
    lower case, blanks for underscores.
    """

    status: int
    code: str = ""
    message: str = ""

    @property
    def text(self) -> str:
        """The error as the engine prints it."""
        if self.code:
            return f"{self.code}: {self.message}" if self.message else self.code
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = ""
        return f"received unexpected HTTP status: {self.status} {phrase}".rstrip()


def read_answer(
    status: int,
    body: bytes,
    challenges: tuple[Challenge, ...] = (),
    *,
    redact: Callable[[str], str] = str,
) -> Answer:
    """Return what a status of 400 or more says; a body that is no list of errors says nothing.

    `redact` takes secrets out of the text: there are servers that quote the request to explain themselves.
    """
    if status == HTTPStatus.UNAUTHORIZED:
        for challenge in challenges:
            code = _OAUTH_ERRORS.get(challenge.parameters.get("error", ""), "")
            if challenge.scheme == "bearer" and code:
                message = challenge.parameters.get("error_description") or _DEFAULTS[code]
                return Answer(status, code, _clean(redact(message)))
    try:
        document = msgspec.json.decode(body)
        first = document["errors"][0]
        code = str(first["code"]).lower().replace("_", " ")
        message = str(first.get("message") or _DEFAULTS.get(code, code))
    except (msgspec.DecodeError, RecursionError, LookupError, TypeError, AttributeError):
        code = {401: "unauthorized", 403: "denied", 429: "toomanyrequests"}.get(status, "")
        message = _DEFAULTS.get(code, "")
    return Answer(status, _clean(redact(code)), _clean(redact(message)))


def _clean(text: str) -> str:
    """Return the beginning of `text`, without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in text[:_TEXT_LIMIT])


def answer_error(answer: Answer, *, wait: int = 1) -> ImagewrightError:
    """Return the error for an answer that no operation knows better about; `wait` is in seconds."""
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(answer.text, retry_after=wait)
    if answer.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return Forbidden(answer.text)
    if answer.status == HTTPStatus.NOT_FOUND:
        return NotFound(answer.text)
    return SystemFailure(answer.text)


def pull_error(answer: Answer, reference: Reference) -> ImagewrightError:
    """Return the error for a manifest that was not given, in the words of `docker pull`."""
    if answer.code in {"denied", "unauthorized"}:
        return NotFound(
            f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
            f"'docker login': {answer.text}"
        )
    if answer.code == "name unknown":
        return NotFound(f"repository {reference.familiar_name} not found: {answer.text}")
    if answer.code == "manifest unknown" or answer.status == HTTPStatus.NOT_FOUND:
        # Some registries send nothing with a 404; the engine's words are the same then.
        text = answer.text if answer.code else "manifest unknown: manifest unknown"
        return NotFound(f"manifest for {reference.with_default_tag().familiar} not found: {text}")
    return answer_error(answer)


def describe_failure(method: str, location: Location, error: BaseException) -> SystemFailure:
    """Return what a failed request is told as, as Go's HTTP client would; `Broken` if it may be tried again."""
    start = f'{method.capitalize()} "{location}": '
    dialled = location.origin.dialled
    for cause in _causes(error):
        if isinstance(cause, urllib3.exceptions.NameResolutionError | socket.gaierror):
            return SystemFailure(f"{start}dial tcp: lookup {location.origin.host}: no such host")
        if isinstance(cause, urllib3.exceptions.ProxyError):
            return SystemFailure(f"{start}the proxy refused or failed")
        if isinstance(cause, urllib3.exceptions.ConnectTimeoutError) and not isinstance(
            cause, urllib3.exceptions.NewConnectionError
        ):
            return SystemFailure(f"{start}dial tcp {dialled}: i/o timeout")
        if isinstance(cause, ssl.SSLError):
            return _tls_failure(start, location, cause)
        if isinstance(cause, urllib3.exceptions.NewConnectionError):
            return SystemFailure(f"{start}dial tcp {dialled}: connect: {_reason(cause)}")
        if isinstance(cause, urllib3.exceptions.ReadTimeoutError | TimeoutError):
            return Slow(f"{start}net/http: timeout awaiting the answer")
    return Broken(f"{start}{_reason(error)}")


def _tls_failure(start: str, location: Location, error: ssl.SSLError) -> SystemFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        text = {
            10: "certificate has expired or is not yet valid",
            9: "certificate has expired or is not yet valid",
            62: f"certificate is not valid for {location.origin.host}",
            64: f"certificate is not valid for {location.origin.host}",
        }.get(error.verify_code, "certificate signed by unknown authority")
        return SystemFailure(f"{start}tls: failed to verify certificate: x509: {text}")
    if error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"}:
        return SystemFailure(f"{start}http: server gave HTTP response to HTTPS client")
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Broken(f"{start}EOF")
    return SystemFailure(f"{start}tls: {(error.reason or 'handshake failure').lower().replace('_', ' ')}")


def _reason(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno:
            names = {
                errno.ECONNREFUSED: "connection refused",
                errno.ECONNRESET: "connection reset by peer",
                errno.EPIPE: "broken pipe",
                errno.ENETUNREACH: "network is unreachable",
                errno.EHOSTUNREACH: "no route to host",
            }
            return names.get(cause.errno, f"error {cause.errno}")
    return "EOF"


def _causes(error: BaseException) -> list[BaseException]:
    """Return `error` and what is behind it: urllib3 keeps the first cause in arguments, causes and contexts alike."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 20:
        item = waiting.pop(0)
        if isinstance(item, BaseException) and item not in found:
            found.append(item)
            waiting += [item.__cause__, item.__context__, *item.args, getattr(item, "reason", None)]
    return found


def retry_after(text: str, limit: float) -> float | None:
    """Return the seconds that a `Retry-After` asks for, `limit` + 1 where it is more; None where it says nothing.

    https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3; dates are not read: the clock of a registry is its own.
    """
    if not text.isascii() or not text.isdigit():
        return None
    return min(float(text[:12]), limit + 1)
