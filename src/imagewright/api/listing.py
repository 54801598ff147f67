"""The image list as JSON, encoded once for each image that does not change."""

import threading
from collections import ChainMap, OrderedDict
from collections.abc import Mapping, Sequence

from imagewright.api import wire
from imagewright.api.encoding import encode
from imagewright.api.versions import ApiVersion
from imagewright.engine import ImageSummary

__all__ = ["Listing", "Shape"]

_SHAPE_GATES = ((1, 43), (1, 44), (1, 51))
# Clients of one machine speak a version or two; of ten thousand images, a shape takes 7 MB.
_SHAPES_KEPT = 3
# Whole lists: one of ten thousand images takes 4 MB. Of very many, there is room for one and some short lists.
_BODIES_SIZE = 12 << 20

Shape = tuple[bool, ...]
"""What of a request, beside the images that it selects, decides how they are written."""

_Entries = dict[int, tuple[ImageSummary, bytes]]


class Listing:
    """Encodes image lists, and keeps the entries: an image that did not change keeps its summary object.

    Lists that were put by with `keep` can be had again by their tag, as far as there is room. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[Shape, _Entries] = OrderedDict()
        self._bodies: OrderedDict[str, bytes] = OrderedDict()
        self._bodies_size = 0

    @staticmethod
    def shape(version: ApiVersion, *, shared: bool) -> Shape:
        """Return how entries look to a client that speaks `version`, with shared sizes if they are asked for."""
        return (shared, *(version.at_least(*gate) for gate in _SHAPE_GATES))

    def encode(self, images: Sequence[ImageSummary], version: ApiVersion, *, shared: bool = False) -> bytes:
        """Return the list for a client that speaks `version`, and an end of line."""
        shape = self.shape(version, shared=shared)
        known: Mapping[int, tuple[ImageSummary, bytes]]
        known = kept = self._known(shape)
        # The summary is kept with its entry, so that its id cannot become another's.
        fresh = [image for image in images if id(image) not in known]
        if fresh:
            entries = {id(image): (image, encode(wire.image_entry(image, version, shared=shared))) for image in fresh}
            known = self._extended(shape, kept, entries, images)
        return b"[" + b",".join([known[id(image)][1] for image in images]) + b"]\n"

    def find(self, tag: str) -> bytes | None:
        """Return the list that was put by under `tag`, if it is still there."""
        with self._lock:
            body = self._bodies.get(tag)
            if body is not None:
                self._bodies.move_to_end(tag)
            return body

    def keep(self, tag: str, body: bytes) -> None:
        """Put `body` by under `tag`, and forget those that nobody asked for."""
        with self._lock:
            self._bodies_size += len(body) - len(self._bodies.pop(tag, b""))
            self._bodies[tag] = body
            while self._bodies_size > _BODIES_SIZE and self._bodies_size > self._longest() * 3 // 2:
                _, forgotten = self._bodies.popitem(last=False)
                self._bodies_size -= len(forgotten)

    def _longest(self) -> int:
        return max(map(len, self._bodies.values()))

    def _known(self, shape: Shape) -> _Entries:
        with self._lock:
            known = self._entries.get(shape)
            if known is None:
                return {}
            self._entries.move_to_end(shape)
            return known

    def _extended(
        self, shape: Shape, known: _Entries, fresh: _Entries, images: Sequence[ImageSummary]
    ) -> Mapping[int, tuple[ImageSummary, bytes]]:
        """Return entries for all `images`, and keep them unless the list is a short one.

        Entries of images that are gone go with the next list that they make too long for what it shows.
        """
        if len(images) * 2 < len(known):
            return ChainMap(fresh, known)
        if len(known) + len(fresh) > len(images) * 5 // 4:
            shown = set(map(id, images))
            known = {key: entry for key, entry in known.items() if key in shown}
        known = known | fresh
        with self._lock:
            self._entries[shape] = known
            self._entries.move_to_end(shape)
            while len(self._entries) > _SHAPES_KEPT:
                self._entries.popitem(last=False)
        return known
