"""The daemon's log: one line for each thing that happened, on standard error."""

import logging
import sys
import traceback

import structlog
from structlog.typing import EventDict, WrappedLogger

from imagewright.errors import Corrupt, ImagewrightError, SystemFailure

__all__ = ["configure_log", "log_failure"]

_log = structlog.get_logger("imagewright.api")
_line = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)


def configure_log() -> None:
    """Have the whole process log to standard error, as it is now; for programs, not for those who embed the API."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log_failure(error: Exception, method: str, endpoint: str) -> None:
    """Log where `error` came from, if it is one for which the client is not to blame, and is told next to nothing."""
    if isinstance(error, ImagewrightError) and not isinstance(error, Corrupt | SystemFailure):
        return
    # As text: renderers of exceptions show local variables, which may hold secrets.
    trace = "".join(traceback.format_exception(error))
    _log.error("unexpected error", method=method, endpoint=endpoint, trace=trace)


def _render(logger: WrappedLogger, method: str, event: EventDict) -> str:
    """Return the line for `event`, and below it the trace that it may carry, as people read one."""
    trace = event.pop("trace", "")
    return f"{_line(logger, method, event)}\n{trace}".rstrip("\n")
