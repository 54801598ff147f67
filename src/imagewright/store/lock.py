"""One process per data root."""

import fcntl
import os

from imagewright.errors import SystemFailure

__all__ = ["RootLock"]


class RootLock:
    """Holds the data root for this process until it is closed, or the process ends in whatever way.

    Raises `SystemFailure` at once if another holds it.
    """

    def __init__(self, path: str) -> None:
        # Children must not inherit the lock: a helper that outlives a killed daemon would keep the next one out.
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._fd)
            raise SystemFailure("the data root is in use by another imagewright process") from error

    def close(self) -> None:
        """Let the next process have the data root; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
