"""The façade that the API, the command line and embedders share.

::

    from imagewright.engine import BuildRequest, Engine

    with Engine("/var/lib/imagewright") as engine, open("context.tar", "rb") as context:
        image = engine.build(context, BuildRequest(target="app"))
        print(image, [summary.tags for summary in engine.list()])
"""

from imagewright.build import BuildRequest, Network
from imagewright.engine.distribution import Distribution
from imagewright.engine.engine import DEFAULT_DATA_ROOT, Engine
from imagewright.engine.happenings import Happening
from imagewright.engine.info import EngineInfo
from imagewright.sandbox import Attachment
from imagewright.store import (
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
    "Container",
    "DiskUsage",
    "Distribution",
    "Engine",
    "EngineInfo",
    "Happening",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "LogLine",
    "Network",
    "Process",
    "Pruned",
    "Removal",
    "StoredImage",
]
