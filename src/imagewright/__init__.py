"""Container images from Dockerfiles, behind the Docker Engine HTTP API.

The public face for embedders is `imagewright.Engine`; it is loaded on first use, so that `import imagewright` is cheap.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imagewright.engine import BuildRequest, Engine

__all__ = ["BuildRequest", "Engine", "__version__"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in {"BuildRequest", "Engine"}:
        from imagewright import engine  # noqa: PLC0415 - loaded on first use

        return getattr(engine, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
