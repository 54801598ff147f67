"""What strangers' servers have for us: files behind URLs, and git repositories.

Whoever asks for a build names the servers, so the rules are those of `SECURITY.md`: which addresses, how long, how
much, and what of it is repeated.
"""

from imagewright.remote.connection import Resolve
from imagewright.remote.download import Download, open_url
from imagewright.remote.git import fetch_repository
from imagewright.remote.kinds import PREAMBLE, Kind, detect_kind
from imagewright.remote.limits import DEFAULT_LIMITS, FetchLimits
from imagewright.remote.repository import Repository, is_repository, parse_repository
from imagewright.remote.source import is_remote, parse_remote
from imagewright.remote.urls import parse_url

__all__ = [
    "DEFAULT_LIMITS",
    "PREAMBLE",
    "Download",
    "FetchLimits",
    "Kind",
    "Repository",
    "Resolve",
    "detect_kind",
    "fetch_repository",
    "is_remote",
    "is_repository",
    "open_url",
    "parse_remote",
    "parse_repository",
    "parse_url",
]
