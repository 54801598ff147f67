"""Every error that imagewright raises on purpose.

::

    ImagewrightError
    ├── InvalidInput        the caller sent something that cannot be right
    │   └── DockerfileError   ... in a Dockerfile: carries the line
    ├── NotFound            the named thing is not here
    ├── Conflict            it is here, and something else forbids the change
    ├── Forbidden           it is understood and refused
    ├── Unsupported         it is understood and not implemented
    ├── Unavailable         not now: too much to do, or shutting down
    ├── RunFailed           a RUN ended with a non-zero exit code
    ├── Cancelled           the caller went away
    ├── Corrupt             bytes do not match what was promised of them
    └── SystemFailure       the machine could not do what was asked of it

Messages are for the person who runs the build: they name the file, the line or the parameter, and no path of the host.
What status an error has on the wire is decided in `imagewright.api.errors` alone.
"""

__all__ = [
    "Cancelled",
    "Conflict",
    "Corrupt",
    "DockerfileError",
    "Forbidden",
    "ImagewrightError",
    "InvalidInput",
    "NotFound",
    "RunFailed",
    "SystemFailure",
    "Unavailable",
    "Unsupported",
]

_LONGEST_MESSAGE = 8192


class ImagewrightError(Exception):
    """The root: catch it to catch everything imagewright raises on purpose.

    Of a message that is very long, as one that quotes a line of megabytes, the middle is left out.
    """

    def __init__(self, message: str = "") -> None:
        if len(message) > _LONGEST_MESSAGE:
            half = _LONGEST_MESSAGE // 2
            message = f"{message[:half]}...{message[-half:]}"
        super().__init__(message)


class InvalidInput(ImagewrightError):
    """The caller sent something that cannot be right, whatever the state of the store."""


class DockerfileError(InvalidInput):
    """A Dockerfile cannot be used; `line` is 1-based and counts physical lines, 0 where no line is to blame.

    `str()` is the one-line message that the engine API sends; `source` is the offending physical line, without its end.
    """

    def __init__(self, message: str, *, line: int = 0, source: str = "", path: str = "Dockerfile") -> None:
        super().__init__(message)
        self.line = line
        self.source = source
        self.path = path


class NotFound(ImagewrightError):
    """The named image, container, layer or blob does not exist."""


class Conflict(ImagewrightError):
    """The change is refused because of what else is there."""


class Forbidden(ImagewrightError):
    """The request is understood and refused."""


class Unsupported(ImagewrightError):
    """The request is understood, and imagewright does not implement it; the message names what is missing."""


class Unavailable(ImagewrightError):
    """The engine cannot take the request now; `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: int = 1) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class RunFailed(ImagewrightError):
    """A process of a RUN ended with `exit_code`, which is not zero."""

    def __init__(self, message: str, *, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Cancelled(ImagewrightError):
    """The work was cancelled by its caller; nothing of it is visible."""


class Corrupt(ImagewrightError):
    """Bytes read do not match their digest, size or diff_id."""


class SystemFailure(ImagewrightError):
    """The machine refused or failed: disk, kernel, a program that is missing or misbehaved."""
