"""The Docker Engine HTTP API over an engine: `serve` runs it on unix sockets, `make_app` is the application."""

from imagewright.api.app import make_app
from imagewright.api.roles import EngineProtocol
from imagewright.api.server import listen, serve
from imagewright.api.service import BuildLimits

__all__ = ["BuildLimits", "EngineProtocol", "listen", "make_app", "serve"]
