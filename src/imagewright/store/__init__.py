"""Everything durable: layers in their forms, images and their names, records of steps, intermediate containers."""

from imagewright.store.blobs import Blobs, LayerBlob, StoredManifest
from imagewright.store.cache_pruning import CachePruning
from imagewright.store.caches import CacheDirectory, Caches
from imagewright.store.forms import TarReader, Unpack
from imagewright.store.logs import LogWriter
from imagewright.store.pruning import Pruning
from imagewright.store.store import Lease, Store
from imagewright.store.values import (
    Container,
    DiskUsage,
    HistoryItem,
    ImageQuery,
    ImageSummary,
    KeptMount,
    LogLine,
    Process,
    Pruned,
    Record,
    Removal,
    StoredImage,
)

__all__ = [
    "Blobs",
    "CacheDirectory",
    "CachePruning",
    "Caches",
    "Container",
    "DiskUsage",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "KeptMount",
    "LayerBlob",
    "Lease",
    "LogLine",
    "LogWriter",
    "Process",
    "Pruned",
    "Pruning",
    "Record",
    "Removal",
    "Store",
    "StoredImage",
    "StoredManifest",
    "TarReader",
    "Unpack",
]
