"""The image list as JSON, encoded once for each image that does not change."""

from collections.abc import Sequence

from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.api.versions import ApiVersion
from imagewright.engine import ImageSummary

__all__ = ["Listing"]

_SHAPE_GATES = ((1, 43), (1, 44), (1, 51))


class Listing:
    """Encodes image lists, and keeps the entries: an image that did not change keeps its summary object."""

    def __init__(self) -> None:
        self._entries: dict[tuple[bool, ...], dict[int, tuple[ImageSummary, bytes]]] = {}

    def encode(self, images: Sequence[ImageSummary], version: ApiVersion) -> bytes:
        """Return the list for a client that speaks `version`; may be called from several threads."""
        shape = tuple(version.at_least(*gate) for gate in _SHAPE_GATES)
        known = self._entries.get(shape, {})
        # The summary is kept with its entry, so that its id cannot become another's.
        entries: dict[int, tuple[ImageSummary, bytes]] = {}
        for image in images:
            entry = known.get(id(image))
            entries[id(image)] = entry or (image, encode(wire.image_entry(image, version)))
        if len(entries) * 2 >= len(known):
            self._entries[shape] = entries
        return b"[" + b",".join(entry for _, entry in entries.values()) + b"]"
