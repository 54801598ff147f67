"""The façade that the API, the command line and embedders share.

::

    from imagewright.engine import BuildRequest, Engine

    with Engine("/var/lib/imagewright") as engine, open("context.tar", "rb") as context:
        image = engine.build(context, BuildRequest(target="app"))
        print(image, [summary.tags for summary in engine.list()])
"""

from imagewright.build import BuildRequest, ContextLimits, Network
from imagewright.engine.distribution import Distribution
from imagewright.engine.engine import DEFAULT_DATA_ROOT, Engine
from imagewright.engine.happenings import Happening
from imagewright.engine.info import EngineInfo
from imagewright.store import (
    Container,
    DiskUsage,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    Pruned,
    Removal,
    StoredImage,
)

__all__ = [
    "DEFAULT_DATA_ROOT",
    "BuildRequest",
    "Container",
    "ContextLimits",
    "DiskUsage",
    "Distribution",
    "Engine",
    "EngineInfo",
    "Happening",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "Network",
    "Pruned",
    "Removal",
    "StoredImage",
]
