"""The files of an image as one tar, as if its layers were one."""

from imagewright.archive import Writable, write_layer
from imagewright.cancellation import Cancellation
from imagewright.filesystem import EMPTY, diff
from imagewright.oci import Digest
from imagewright.store import Store

__all__ = ["export_files"]


def export_files(store: Store, image: Digest, out: Writable, *, cancellation: Cancellation) -> None:
    """Write what the root of a container of `image` would hold to `out`: parents first, names in the order of bytes.

    Equal files give equal bytes. The image's layers have to be held by a lease. Raises `NotFound`, `Cancelled`, and
    what `out` raises.
    """
    tree = store.tree(store.get_image(image).config.diff_ids)
    write_layer(diff(EMPTY, tree), _Cancellable(out, cancellation))


class _Cancellable:
    def __init__(self, out: Writable, cancellation: Cancellation) -> None:
        self._out = out
        self._cancellation = cancellation

    def write(self, data: bytes, /) -> None:
        self._cancellation.check()
        self._out.write(data)
