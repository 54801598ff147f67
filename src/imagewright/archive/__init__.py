"""Bytes to values and back: tar in and out, compression, and the bytes behind a `Content`.

Reading a context::

    with Spool(path) as spool:
        tree = read_tree(decompress(stream), spool)

and a layer: `layer, diff_id = read_layer(decompress(stream), spool)`. Writing one: `diff_id = write_layer(layer, out)`.
"""

from imagewright.archive.compression import decompress
from imagewright.archive.content import ContentReader, Contents, copy_content, open_content, read_content
from imagewright.archive.entries import Entry, read_entries
from imagewright.archive.follower import Follower
from imagewright.archive.index import OWN_TAR, decode_index, encode_index
from imagewright.archive.limits import DEFAULT_LIMITS, Limits
from imagewright.archive.packing import COMPRESSIONS, Compression, Packer
from imagewright.archive.reader import is_archive, read_layer, read_tree
from imagewright.archive.spool import Spool
from imagewright.archive.stream import CHUNK, Readable, Writable
from imagewright.archive.writer import Member, layer_size, write_layer, write_members

__all__ = [
    "CHUNK",
    "COMPRESSIONS",
    "DEFAULT_LIMITS",
    "OWN_TAR",
    "Compression",
    "ContentReader",
    "Contents",
    "Entry",
    "Follower",
    "Limits",
    "Member",
    "Packer",
    "Readable",
    "Spool",
    "Writable",
    "copy_content",
    "decode_index",
    "decompress",
    "encode_index",
    "is_archive",
    "layer_size",
    "open_content",
    "read_content",
    "read_entries",
    "read_layer",
    "read_tree",
    "write_layer",
    "write_members",
]
