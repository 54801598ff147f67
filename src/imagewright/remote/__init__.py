"""What strangers' servers have for us: files behind URLs, and git repositories.

Whoever asks for a build names the servers, so the rules are those of `SECURITY.md`: which addresses, how long, how
much, and what of it is repeated.
"""

from imagewright.remote.connection import Resolve
from imagewright.remote.download import Download, open_url
from imagewright.remote.limits import DEFAULT_LIMITS, FetchLimits

__all__ = ["DEFAULT_LIMITS", "Download", "FetchLimits", "Resolve", "open_url"]
