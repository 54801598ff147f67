"""Everything durable: layers in their forms, images and their names, records of steps, intermediate containers."""

from imagewright.store.forms import TarReader, Unpack
from imagewright.store.store import Lease, Store
from imagewright.store.values import Container, HistoryItem, ImageQuery, ImageSummary, Record, Removal, StoredImage

__all__ = [
    "Container",
    "HistoryItem",
    "ImageQuery",
    "ImageSummary",
    "Lease",
    "Record",
    "Removal",
    "Store",
    "StoredImage",
    "TarReader",
    "Unpack",
]
