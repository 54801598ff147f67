"""The façade that the API, the command line and embedders share.

::

    from imagewright.engine import BuildRequest, Engine

    with Engine("/var/lib/imagewright") as engine, open("context.tar", "rb") as context:
        image = engine.build(context, BuildRequest(target="app"))
        print(image, [summary.tags for summary in engine.list()])
"""

from imagewright.build import BuildRequest, ContextLimits, Entitlement, Network, Surroundings, parse_contexts
from imagewright.engine.distribution import Distribution
from imagewright.engine.engine import DEFAULT_DATA_ROOT, Engine
from imagewright.engine.happenings import Happening
from imagewright.engine.info import EngineInfo
from imagewright.sandbox import Attachment, Limits, Ulimit
from imagewright.store import (
    CacheDirectory,
    CachePruning,
    Container,
    DiskUsage,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    LogLine,
    Process,
    Pruned,
    Removal,
    StoredImage,
)

__all__ = [
    "DEFAULT_DATA_ROOT",
    "Attachment",
    "BuildRequest",
    "CacheDirectory",
    "CachePruning",
    "Container",
    "ContextLimits",
    "DiskUsage",
    "Distribution",
    "Engine",
    "EngineInfo",
    "Entitlement",
    "Happening",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "Limits",
    "LogLine",
    "Network",
    "Process",
    "Pruned",
    "Removal",
    "StoredImage",
    "Surroundings",
    "Ulimit",
    "parse_contexts",
]
